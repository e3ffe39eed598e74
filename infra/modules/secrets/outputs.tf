output "secret_name" {
  description = "The one name of the application's secret: the chart's externalSecret.remoteKey."
  value       = aws_secretsmanager_secret.app.name
}

output "secret_arn" {
  description = "ARN of the secret."
  value       = aws_secretsmanager_secret.app.arn
}

output "external_secrets_role_arn" {
  description = "Role of the External Secrets Operator."
  value       = module.external_secrets.role_arn
}
