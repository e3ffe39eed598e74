output "pod_log_group" {
  description = "Log group of the pods."
  value       = aws_cloudwatch_log_group.pods.name
}

output "fluent_bit_role_arn" {
  description = "Role of Fluent Bit."
  value       = module.fluent_bit.role_arn
}

output "load_balancer_controller_role_arn" {
  description = "Role of the AWS Load Balancer Controller."
  value       = module.load_balancer_controller.role_arn
}
