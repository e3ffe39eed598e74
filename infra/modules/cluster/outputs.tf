output "name" {
  description = "Name of the cluster."
  value       = aws_eks_cluster.this.name
}

output "arn" {
  description = "ARN of the cluster."
  value       = aws_eks_cluster.this.arn
}

output "endpoint" {
  description = "The API's address."
  value       = aws_eks_cluster.this.endpoint
}

output "api_clients_security_group_id" {
  description = "The security group that lets a machine in the VPC reach the API."
  value       = aws_security_group.api_clients.id
}

output "access" {
  description = "Who may log in: the principal of each named entry."
  value       = { for name, entry in aws_eks_access_entry.this : name => entry.principal_arn }
}
