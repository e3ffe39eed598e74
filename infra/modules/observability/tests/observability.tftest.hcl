mock_provider "aws" {
  source          = "../../mocks"
  override_during = plan
}

variables {
  cluster_name       = "janus-test"
  region             = "eu-central-1"
  account_id         = "111122223333"
  vpc_id             = "vpc-0123456789abcdef0"
  kms_key_arn        = "arn:aws:kms:eu-central-1:111122223333:key/1234abcd"
  log_retention_days = 30
}

run "logs_of_pods_have_an_end_and_are_encrypted" {
  command = plan

  assert {
    condition     = aws_cloudwatch_log_group.pods.name == "/aws/eks/janus-test/pods" && aws_cloudwatch_log_group.pods.retention_in_days == 30 && aws_cloudwatch_log_group.pods.kms_key_id == var.kms_key_arn
    error_message = "log group"
  }
  assert {
    condition     = jsondecode(local.fluent_bit_policy).Statement[0].Resource == ["arn:aws:logs:eu-central-1:111122223333:log-group:/aws/eks/janus-test/pods", "arn:aws:logs:eu-central-1:111122223333:log-group:/aws/eks/janus-test/pods:*"]
    error_message = "Fluent Bit writes there and nowhere else"
  }
}

run "the_load_balancer_controller_changes_only_what_is_its_own" {
  command = plan

  # Whatever can be done to anything must only look.
  assert {
    condition = alltrue(flatten([for statement in jsondecode(local.load_balancer_policy).Statement : [
      for action in flatten([statement.Action]) : can(regex(":(Describe|List|Get)", action))
    ] if statement.Resource == "*"]))
    error_message = "only looking has no resource"
  }
  assert {
    condition = alltrue([for statement in jsondecode(local.load_balancer_policy).Statement :
    alltrue([for resource in flatten([statement.Resource]) : strcontains(resource, ":111122223333:")]) if statement.Resource != "*"])
    error_message = "all else is in this account"
  }
  assert {
    condition = { for statement in jsondecode(local.load_balancer_policy).Statement : statement.Sid => statement.Condition if can(statement.Condition) && startswith(statement.Sid, "Change") } == {
      ChangeMarkedSecurityGroups = { StringEquals = { "aws:ResourceTag/elbv2.k8s.aws/cluster" = "janus-test" } }
      ChangeMarkedLoadBalancers  = { StringEquals = { "aws:ResourceTag/elbv2.k8s.aws/cluster" = "janus-test" } }
    }
    error_message = "changes what carries the cluster's mark"
  }
  assert {
    condition     = !strcontains(local.load_balancer_policy, ":*\"")
    error_message = "no action is a wildcard"
  }
}

run "a_name_too_long_for_the_roles_is_refused" {
  command = plan

  variables {
    cluster_name = "a-name-that-is-too-long-for-the-names-of-roles"
  }
  expect_failures = [var.cluster_name]
}
