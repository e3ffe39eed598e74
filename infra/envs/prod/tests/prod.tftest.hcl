mock_provider "aws" {
  source          = "../../mocks"
  override_during = plan
}

variables {
  admins           = { alice = "arn:aws:iam::111122223333:role/alice" }
  api_public_cidrs = ["203.0.113.0/24"]
  github           = { owner = "example", repository = "janus" }
}

run "the_outputs_that_others_read" {
  command = plan

  assert {
    condition     = output.environment == "prod" && output.cluster_name == "janus-prod" && output.region == "eu-central-1" && output.namespace == "janus"
    error_message = "names"
  }
  assert {
    condition     = output.secret_name == "janus/prod/app"
    error_message = "the secret"
  }
  assert {
    condition     = output.load_balancer_cidrs == ["10.30.0.0/20", "10.30.16.0/20", "10.30.32.0/20"]
    error_message = "public subnets"
  }
  assert {
    condition     = keys(output.access) == ["admin/alice", "delivery"]
    error_message = "who may log in"
  }
  assert {
    condition     = keys(output.private_subnet_ids) == ["eu-central-1a", "eu-central-1b", "eu-central-1c"]
    error_message = "three zones"
  }
}

run "a_cluster_that_nobody_can_log_in_to_is_refused" {
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
