# The AWS side of what infra/addons.sh installs with Helm: where pods' logs go, and what the installed programs may do.
# The policy of the load balancer controller has a file of its own.

data "aws_partition" "current" {}

locals {
  arn_prefix = "arn:${data.aws_partition.current.partition}"
  log_group  = "/aws/eks/${var.cluster_name}/pods"
  log_arn    = "${local.arn_prefix}:logs:${var.region}:${var.account_id}:log-group:${local.log_group}"

  fluent_bit_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid      = "WritePodLogs"
      Effect   = "Allow"
      Action   = ["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"]
      Resource = [local.log_arn, "${local.log_arn}:*"]
    }]
  })
}

# Made here and not by Fluent Bit, which would make it without an end and without the key.
resource "aws_cloudwatch_log_group" "pods" {
  # checkov:skip=CKV_AWS_338: How long logs are kept is a decision of the environment; prod keeps them for a year.
  name              = local.log_group
  retention_in_days = var.log_retention_days
  kms_key_id        = var.kms_key_arn
}

module "fluent_bit" {
  source = "../pod-identity"

  name            = "${var.cluster_name}-fluent-bit"
  account_id      = var.account_id
  cluster_name    = var.cluster_name
  namespace       = "logging"
  service_account = "fluent-bit"
  policy          = local.fluent_bit_policy
}

module "load_balancer_controller" {
  source = "../pod-identity"

  name            = "${var.cluster_name}-load-balancer-controller"
  account_id      = var.account_id
  cluster_name    = var.cluster_name
  namespace       = "kube-system"
  service_account = "aws-load-balancer-controller"
  policy          = local.load_balancer_policy
}
