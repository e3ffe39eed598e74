# prod: each zone stands on its own, logs are kept for a year, what is deleted can be brought back for a month.

module "environment" {
  source = "../../modules/environment"

  environment = "prod"
  region      = "eu-central-1"
  zones       = ["eu-central-1a", "eu-central-1b", "eu-central-1c"]
  cidr        = "10.30.0.0/16"

  nat_per_zone         = true
  instance_types       = ["m6i.large", "m5.large"]
  nodes_per_zone       = { min = 1, max = 4 }
  log_retention_days   = 365
  recovery_window_days = 30

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
    tags = { Project = "janus", Environment = "prod", ManagedBy = "terraform" }
  }
}

# The bucket is the account's (infra/bootstrap) and is named at init: -backend-config=bucket=NAME -backend-config=region=REGION
# The key is the environment's, so that no environment takes another's state for its own, were the bucket the same.
terraform {
  backend "s3" {
    key          = "janus/prod/terraform.tfstate"
    encrypt      = true
    use_lockfile = true
  }
}
