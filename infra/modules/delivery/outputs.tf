output "push_role_arn" {
  description = "Role of the jobs that push images."
  value       = aws_iam_role.push.arn
}

output "deploy_role_arn" {
  description = "Role of the jobs that deploy."
  value       = aws_iam_role.deploy.arn
}
