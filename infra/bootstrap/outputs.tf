output "backend_config" {
  description = "The words that terraform init takes in infra/envs/*."
  value       = "-backend-config=bucket=${aws_s3_bucket.state.id} -backend-config=region=${var.region}"
}
