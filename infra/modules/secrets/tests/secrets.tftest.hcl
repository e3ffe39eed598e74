mock_provider "aws" {
  source          = "../../mocks"
  override_during = plan
}

variables {
  environment          = "dev"
  region               = "eu-central-1"
  account_id           = "111122223333"
  cluster_name         = "janus-dev"
  kms_key_arn          = "arn:aws:kms:eu-central-1:111122223333:key/1234abcd"
  recovery_window_days = 7
}

run "there_is_one_secret_with_one_name" {
  command = plan

  assert {
    condition     = aws_secretsmanager_secret.app.name == "janus/dev/app" && output.secret_name == "janus/dev/app"
    error_message = "name"
  }
  assert {
    condition     = aws_secretsmanager_secret.app.kms_key_id == var.kms_key_arn && aws_secretsmanager_secret.app.recovery_window_in_days == 7
    error_message = "encrypted with the key, and can be brought back"
  }
}

run "the_operator_reads_this_environment_and_no_other" {
  command = plan

  assert {
    condition = jsondecode(local.read_policy) == {
      Version = "2012-10-17"
      Statement = [
        {
          Sid      = "ReadThisEnvironment"
          Effect   = "Allow"
          Action   = ["secretsmanager:GetSecretValue", "secretsmanager:DescribeSecret"]
          Resource = "arn:aws:secretsmanager:eu-central-1:111122223333:secret:janus/dev/*"
        },
        {
          Sid       = "DecryptBySecretsManagerOnly"
          Effect    = "Allow"
          Action    = "kms:Decrypt"
          Resource  = "arn:aws:kms:eu-central-1:111122223333:key/1234abcd"
          Condition = { StringEquals = { "kms:ViaService" = "secretsmanager.eu-central-1.amazonaws.com" } }
        },
      ]
    }
    error_message = "policy of the External Secrets Operator"
  }
}

run "no_rotation_without_a_function" {
  command = plan

  assert {
    condition     = length(aws_secretsmanager_secret_rotation.app) == 0
    error_message = "nothing rotates"
  }
}

run "rotation_with_one" {
  command = plan

  variables {
    rotation_lambda_arn = "arn:aws:lambda:eu-central-1:111122223333:function:rotate"
    rotation_days       = 7
  }
  assert {
    condition     = aws_secretsmanager_secret_rotation.app[0].rotation_rules[0].automatically_after_days == 7
    error_message = "rotates weekly"
  }
}

run "another_environment_is_refused" {
  command = plan

  variables {
    environment = "production"
  }
  expect_failures = [var.environment]
}

run "deleting_at_once_is_refused" {
  command = plan

  variables {
    recovery_window_days = 0
  }
  expect_failures = [var.recovery_window_days]
}
