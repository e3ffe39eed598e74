terraform {
  required_version = ">= 1.11"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.100, < 7.0"
    }
  }

  # The bucket is the account's (infra/bootstrap) and is named at init: -backend-config=bucket=NAME -backend-config=region=REGION
  backend "s3" {
    key          = "janus/terraform.tfstate"
    encrypt      = true
    use_lockfile = true
  }
}
