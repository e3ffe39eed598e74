mock_provider "aws" {
  source          = "../../mocks"
  override_during = plan
}

variables {
  environment          = "prod"
  region               = "eu-central-1"
  zones                = ["eu-central-1a", "eu-central-1b", "eu-central-1c"]
  cidr                 = "10.99.0.0/16"
  nat_per_zone         = true
  instance_types       = ["m6i.large"]
  nodes_per_zone       = { min = 1, max = 3 }
  log_retention_days   = 365
  recovery_window_days = 30
  admins               = { alice = "arn:aws:iam::111122223333:role/alice" }
  api_public_cidrs     = []
  github               = { owner = "example", repository = "janus" }
}

run "the_key_is_for_this_account_and_its_logs" {
  command = plan

  assert {
    condition = jsondecode(aws_kms_key.this.policy).Statement[*].Principal == [
      { AWS = "arn:aws:iam::111122223333:root" },
      { Service = "logs.eu-central-1.amazonaws.com" },
    ]
    error_message = "principals of the key"
  }
  assert {
    condition     = jsondecode(aws_kms_key.this.policy).Statement[1].Condition == { ArnLike = { "kms:EncryptionContext:aws:logs:arn" = "arn:aws:logs:eu-central-1:111122223333:log-group:*" } }
    error_message = "CloudWatch Logs uses it for groups of this account"
  }
  assert {
    condition     = aws_kms_key.this.enable_key_rotation && aws_kms_key.this.deletion_window_in_days == 30
    error_message = "rotated, and can be brought back"
  }
}

run "the_role_that_deploys_has_the_delivery_entry" {
  command = plan

  assert {
    condition     = output.access["delivery"] == output.deploy_role_arn
    error_message = "one role"
  }
}

run "one_nat_in_prod_is_refused" {
  command = plan

  variables {
    nat_per_zone = false
  }
  expect_failures = [var.nat_per_zone]
}

run "no_admin_is_refused" {
  command = plan

  variables {
    admins = {}
  }
  expect_failures = [var.admins]
}

run "the_api_for_everybody_is_refused" {
  command = plan

  variables {
    api_public_cidrs = ["0.0.0.0/0"]
  }
  expect_failures = [var.api_public_cidrs]
}

run "another_environment_is_refused" {
  command = plan

  variables {
    environment = "production"
  }
  expect_failures = [var.environment]
}
