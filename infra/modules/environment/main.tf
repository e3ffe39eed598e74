# One environment: everything from an empty AWS account to a cluster that the chart can be installed on.

data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

locals {
  name       = "janus-${var.environment}"
  account_id = data.aws_caller_identity.current.account_id
  arn_prefix = "arn:${data.aws_partition.current.partition}"

  key_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "IAMDecides"
        Effect    = "Allow"
        Action    = "kms:*"
        Resource  = "*"
        Principal = { AWS = "${local.arn_prefix}:iam::${local.account_id}:root" }
      },
      {
        Sid       = "LogGroupsOfThisAccount"
        Effect    = "Allow"
        Action    = ["kms:Encrypt*", "kms:Decrypt*", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:Describe*"]
        Resource  = "*"
        Principal = { Service = "logs.${var.region}.amazonaws.com" }
        Condition = {
          ArnLike = { "kms:EncryptionContext:aws:logs:arn" = "${local.arn_prefix}:logs:${var.region}:${local.account_id}:log-group:*" }
        }
      },
    ]
  })
}

# One key for all of an environment: what it protects lives and dies together.
resource "aws_kms_key" "this" {
  description             = "Janus ${var.environment}: Kubernetes secrets, Secrets Manager, images, logs"
  enable_key_rotation     = true
  deletion_window_in_days = var.recovery_window_days
  policy                  = local.key_policy

  lifecycle {
    prevent_destroy = true
  }
}

resource "aws_kms_alias" "this" {
  name          = "alias/${local.name}"
  target_key_id = aws_kms_key.this.key_id
}

module "network" {
  source = "../network"

  name               = local.name
  region             = var.region
  account_id         = local.account_id
  cidr               = var.cidr
  zones              = var.zones
  nat_per_zone       = var.nat_per_zone
  kms_key_arn        = aws_kms_key.this.arn
  log_retention_days = var.log_retention_days
}

module "registry" {
  source = "../registry"

  name        = local.name
  kms_key_arn = aws_kms_key.this.arn
}

# Helm takes a chart's name for the last part of its repository's.
module "chart_registry" {
  source = "../registry"

  name        = "${local.name}-charts/janus"
  kms_key_arn = aws_kms_key.this.arn
}

module "delivery" {
  source = "../delivery"

  region             = var.region
  account_id         = local.account_id
  cluster_name       = local.name
  repository_arns    = [module.registry.arn, module.chart_registry.arn]
  github             = var.github
  push_environment   = "${var.environment}-images"
  deploy_environment = var.environment
  oidc_provider_arn  = var.github_oidc_provider_arn
}

module "cluster" {
  source = "../cluster"

  name               = local.name
  account_id         = local.account_id
  vpc_id             = module.network.vpc_id
  vpc_cidr           = var.cidr
  private_subnet_ids = module.network.private_subnet_ids
  kms_key_arn        = aws_kms_key.this.arn
  log_retention_days = var.log_retention_days
  api_public_cidrs   = var.api_public_cidrs
  admins             = var.admins
  readers            = var.readers
  delivery_role_arn  = module.delivery.deploy_role_arn
  delivery_namespace = var.namespace
  instance_types     = var.instance_types
  nodes_per_zone     = var.nodes_per_zone
}

module "secrets" {
  source = "../secrets"

  environment          = var.environment
  region               = var.region
  account_id           = local.account_id
  cluster_name         = module.cluster.name
  kms_key_arn          = aws_kms_key.this.arn
  recovery_window_days = var.recovery_window_days
  token_version        = var.token_version
  rotation_lambda_arn  = var.rotation_lambda_arn
}

module "observability" {
  source = "../observability"

  cluster_name       = module.cluster.name
  region             = var.region
  account_id         = local.account_id
  vpc_id             = module.network.vpc_id
  kms_key_arn        = aws_kms_key.this.arn
  log_retention_days = var.log_retention_days
}
