mock_provider "aws" {
  source          = "../../mocks"
  override_during = plan
}

variables {
  region             = "eu-central-1"
  account_id         = "111122223333"
  cluster_name       = "janus-test"
  repository_arns    = ["arn:aws:ecr:eu-central-1:111122223333:repository/janus-test", "arn:aws:ecr:eu-central-1:111122223333:repository/janus-test-charts/janus"]
  github             = { owner = "example", repository = "janus" }
  push_environment   = "test-images"
  deploy_environment = "test"
}

run "jobs_of_one_repository_and_environment_take_a_role" {
  command = plan

  assert {
    condition = jsondecode(aws_iam_role.push.assume_role_policy) == {
      Version = "2012-10-17"
      Statement = [{
        Effect    = "Allow"
        Action    = "sts:AssumeRoleWithWebIdentity"
        Principal = { Federated = "arn:aws:iam::111122223333:oidc-provider/token.actions.githubusercontent.com" }
        Condition = {
          StringEquals = {
            "token.actions.githubusercontent.com:aud" = "sts.amazonaws.com"
            "token.actions.githubusercontent.com:sub" = "repo:example/janus:environment:test-images"
          }
        }
      }]
    }
    error_message = "trust policy of push"
  }
  assert {
    condition     = jsondecode(aws_iam_role.deploy.assume_role_policy).Statement[0].Condition.StringEquals["token.actions.githubusercontent.com:sub"] == "repo:example/janus:environment:test"
    error_message = "subject of deploy"
  }
}

run "the_immutable_form_of_the_subject" {
  command = plan

  variables {
    github = { owner = "example", repository = "janus", owner_id = 123456, repository_id = 456789 }
  }
  assert {
    condition     = jsondecode(aws_iam_role.deploy.assume_role_policy).Statement[0].Condition.StringEquals["token.actions.githubusercontent.com:sub"] == "repo:example@123456/janus@456789:environment:test"
    error_message = "subject with numbers"
  }
}

run "push_and_deploy_are_apart" {
  command = plan

  assert {
    condition = jsondecode(aws_iam_role_policy.push.policy) == {
      Version = "2012-10-17"
      Statement = [
        { Sid = "LogIn", Effect = "Allow", Action = "ecr:GetAuthorizationToken", Resource = "*" },
        {
          Sid    = "PushAndPull"
          Effect = "Allow"
          Action = [
            "ecr:BatchCheckLayerAvailability",
            "ecr:BatchGetImage",
            "ecr:CompleteLayerUpload",
            "ecr:DescribeImages",
            "ecr:GetDownloadUrlForLayer",
            "ecr:InitiateLayerUpload",
            "ecr:PutImage",
            "ecr:UploadLayerPart",
          ]
          Resource = [
            "arn:aws:ecr:eu-central-1:111122223333:repository/janus-test",
            "arn:aws:ecr:eu-central-1:111122223333:repository/janus-test-charts/janus",
          ]
        },
      ]
    }
    error_message = "push reaches its repositories, and no cluster"
  }
  assert {
    condition = jsondecode(aws_iam_role_policy.deploy.policy) == {
      Version = "2012-10-17"
      Statement = [{
        Sid      = "FindTheCluster"
        Effect   = "Allow"
        Action   = "eks:DescribeCluster"
        Resource = "arn:aws:eks:eu-central-1:111122223333:cluster/janus-test"
      }]
    }
    error_message = "deploy finds its cluster, and no registry"
  }
}

run "a_provider_that_exists_is_used" {
  command = plan

  variables {
    oidc_provider_arn = "arn:aws:iam::111122223333:oidc-provider/token.actions.githubusercontent.com"
  }
  assert {
    condition     = length(aws_iam_openid_connect_provider.github) == 0
    error_message = "none is made"
  }
}

run "a_wildcard_repository_is_refused" {
  command = plan

  variables {
    github = { owner = "example", repository = "*" }
  }
  expect_failures = [var.github]
}

run "half_of_the_numbers_is_refused" {
  command = plan

  variables {
    github = { owner = "example", repository = "janus", owner_id = 123456 }
  }
  expect_failures = [var.github]
}

run "a_wildcard_environment_is_refused" {
  command = plan

  variables {
    deploy_environment = "*"
  }
  expect_failures = [var.deploy_environment]
}

run "one_environment_for_both_is_refused" {
  command = plan

  variables {
    push_environment = "test"
  }
  expect_failures = [var.deploy_environment]
}
