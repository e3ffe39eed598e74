output "vpc_id" {
  description = "The VPC."
  value       = aws_vpc.this.id
}

output "public_subnet_ids" {
  description = "Public subnets by zone: load balancers and NAT."
  value       = { for zone, subnet in aws_subnet.public : zone => subnet.id }
}

output "public_subnet_cidrs" {
  description = "Addresses of the public subnets, in the order of the zones: where an internet-facing load balancer speaks from."
  value       = [for zone in var.zones : aws_subnet.public[zone].cidr_block]
}

output "private_subnet_ids" {
  description = "Private subnets by zone: nodes and pods."
  value       = { for zone, subnet in aws_subnet.private : zone => subnet.id }
}

output "private_subnet_cidrs" {
  description = "Addresses of the private subnets, in the order of the zones."
  value       = [for zone in var.zones : aws_subnet.private[zone].cidr_block]
}
