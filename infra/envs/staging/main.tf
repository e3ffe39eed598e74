# staging: as prod in everything that can break, and smaller.

module "environment" {
  source = "../../modules/environment"

  environment = "staging"
  region      = "eu-central-1"
  zones       = ["eu-central-1a", "eu-central-1b", "eu-central-1c"]
  cidr        = "10.20.0.0/16"

  nat_per_zone         = false
  instance_types       = ["t3.large"]
  nodes_per_zone       = { min = 1, max = 2 }
  log_retention_days   = 30
  recovery_window_days = 7

  admins                   = var.admins
  readers                  = var.readers
  api_public_cidrs         = var.api_public_cidrs
  github                   = var.github
  github_oidc_provider_arn = var.github_oidc_provider_arn
  token_version            = var.token_version
  rotation_lambda_arn      = var.rotation_lambda_arn
}

provider "aws" {
  region = "eu-central-1"

  default_tags {
    tags = { Project = "janus", Environment = "staging", ManagedBy = "terraform" }
  }
}

# The bucket is the account's (infra/bootstrap) and is named at init: -backend-config=bucket=NAME -backend-config=region=REGION
# The key is the environment's, so that no environment takes another's state for its own, were the bucket the same.
terraform {
  backend "s3" {
    key          = "janus/staging/terraform.tfstate"
    encrypt      = true
    use_lockfile = true
  }
}
