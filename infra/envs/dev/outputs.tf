output "environment" {
  description = "dev, staging or prod."
  value       = module.environment.environment
}

output "region" {
  description = "AWS region."
  value       = module.environment.region
}

output "namespace" {
  description = "The namespace that Janus is deployed to."
  value       = module.environment.namespace
}

output "cluster_name" {
  description = "Name of the cluster: aws eks update-kubeconfig --name."
  value       = module.environment.cluster_name
}

output "cluster_endpoint" {
  description = "The API's address."
  value       = module.environment.cluster_endpoint
}

output "access" {
  description = "Who may log in: the principal of each named entry."
  value       = module.environment.access
}

output "api_clients_security_group_id" {
  description = "The security group that lets a machine in the VPC reach the API, as a delivery runner."
  value       = module.environment.api_clients_security_group_id
}

output "vpc_id" {
  description = "The VPC."
  value       = module.environment.vpc_id
}

output "private_subnet_ids" {
  description = "Private subnets by zone: nodes, pods, a delivery runner."
  value       = module.environment.private_subnet_ids
}

output "load_balancer_cidrs" {
  description = "Addresses that an internet-facing load balancer speaks from: the chart's networkPolicy.loadBalancerCIDRs."
  value       = module.environment.load_balancer_cidrs
}

output "registry_url" {
  description = "The image repository: the chart's image.repository."
  value       = module.environment.registry_url
}

output "chart_registry_url" {
  description = "The chart's repository: helm pull oci://."
  value       = module.environment.chart_registry_url
}

output "secret_name" {
  description = "The one name of the application's secret: the chart's externalSecret.remoteKey."
  value       = module.environment.secret_name
}

output "push_role_arn" {
  description = "Role of the GitHub jobs that push images."
  value       = module.environment.push_role_arn
}

output "deploy_role_arn" {
  description = "Role of the GitHub jobs that deploy."
  value       = module.environment.deploy_role_arn
}

output "external_secrets_role_arn" {
  description = "Role of the External Secrets Operator."
  value       = module.environment.external_secrets_role_arn
}

output "load_balancer_controller_role_arn" {
  description = "Role of the AWS Load Balancer Controller."
  value       = module.environment.load_balancer_controller_role_arn
}

output "fluent_bit_role_arn" {
  description = "Role of Fluent Bit."
  value       = module.environment.fluent_bit_role_arn
}

output "pod_log_group" {
  description = "CloudWatch log group of the pods."
  value       = module.environment.pod_log_group
}
