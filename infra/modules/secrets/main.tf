# The application's secret, and the one role that carries secrets into the cluster.
#
# There is one secret and one name for it. The chart takes that name from the output `secret_name`, and a test compares
# the two: a second secret of almost the same name is how a token gets rotated that nobody reads.

data "aws_partition" "current" {}

locals {
  secret_name = "janus/${var.environment}/app"

  read_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid      = "ReadThisEnvironment"
        Effect   = "Allow"
        Action   = ["secretsmanager:GetSecretValue", "secretsmanager:DescribeSecret"]
        Resource = "arn:${data.aws_partition.current.partition}:secretsmanager:${var.region}:${var.account_id}:secret:janus/${var.environment}/*"
      },
      {
        Sid       = "DecryptBySecretsManagerOnly"
        Effect    = "Allow"
        Action    = "kms:Decrypt"
        Resource  = var.kms_key_arn
        Condition = { StringEquals = { "kms:ViaService" = "secretsmanager.${var.region}.amazonaws.com" } }
      },
    ]
  })
}

resource "aws_secretsmanager_secret" "app" {
  # checkov:skip=CKV2_AWS_57: Rotation needs a function in the account; rotation_lambda_arn switches it on.
  name                    = local.secret_name
  description             = "What Janus needs to run: admin_token, the token of its admin endpoints"
  kms_key_id              = var.kms_key_arn
  recovery_window_in_days = var.recovery_window_days

  lifecycle {
    prevent_destroy = true
  }
}

resource "aws_secretsmanager_secret_rotation" "app" {
  count = var.rotation_lambda_arn == null ? 0 : 1

  secret_id           = aws_secretsmanager_secret.app.id
  rotation_lambda_arn = var.rotation_lambda_arn

  rotation_rules {
    automatically_after_days = var.rotation_days
  }
}

module "external_secrets" {
  source = "../pod-identity"

  name            = "${var.cluster_name}-external-secrets"
  account_id      = var.account_id
  cluster_name    = var.cluster_name
  namespace       = "external-secrets"
  service_account = "external-secrets"
  policy          = local.read_policy
}
