# Delivery from GitHub Actions, without a key: GitHub's token for a job is traded for a role for an hour. One role pushes
# images and charts, another deploys, and neither can do what the other does.

data "aws_partition" "current" {}

locals {
  issuer       = "token.actions.githubusercontent.com"
  provider_arn = var.oidc_provider_arn == null ? aws_iam_openid_connect_provider.github[0].arn : var.oidc_provider_arn

  # GitHub writes the subject in one of two ways: with names, or (repositories made since July 2026, and those that ask
  # for it) with numbers that nobody can take over with a name.
  repository_subject = (
    var.github.owner_id == null
    ? "repo:${var.github.owner}/${var.github.repository}"
    : "repo:${var.github.owner}@${var.github.owner_id}/${var.github.repository}@${var.github.repository_id}"
  )

  trust = { for role, environment in { push = var.push_environment, deploy = var.deploy_environment } : role => jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRoleWithWebIdentity"
      Principal = { Federated = local.provider_arn }
      Condition = {
        StringEquals = {
          "${local.issuer}:aud" = "sts.amazonaws.com"
          "${local.issuer}:sub" = "${local.repository_subject}:environment:${environment}"
        }
      }
    }]
  }) }

  push_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid      = "LogIn"
        Effect   = "Allow"
        Action   = "ecr:GetAuthorizationToken"
        Resource = "*"
      },
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
        Resource = var.repository_arns
      },
    ]
  })

  # What it may do inside the cluster is its access entry: one namespace.
  deploy_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid      = "FindTheCluster"
      Effect   = "Allow"
      Action   = "eks:DescribeCluster"
      Resource = "arn:${data.aws_partition.current.partition}:eks:${var.region}:${var.account_id}:cluster/${var.cluster_name}"
    }]
  })
}

resource "aws_iam_openid_connect_provider" "github" {
  count = var.oidc_provider_arn == null ? 1 : 0

  url            = "https://${local.issuer}"
  client_id_list = ["sts.amazonaws.com"]
}

resource "aws_iam_role" "push" {
  # checkov:skip=CKV_AWS_393: The check does not know the subject with numbers (owner@id/repository@id).
  name                 = "${var.cluster_name}-push"
  description          = "GitHub Actions: pushes images"
  assume_role_policy   = local.trust.push
  max_session_duration = 3600
}

resource "aws_iam_role_policy" "push" {
  # checkov:skip=CKV_AWS_290: Logging in to ECR has no resource to name (GetAuthorizationToken).
  # checkov:skip=CKV_AWS_355: As above.
  name   = "push"
  role   = aws_iam_role.push.id
  policy = local.push_policy
}

resource "aws_iam_role" "deploy" {
  # checkov:skip=CKV_AWS_393: The check does not know the subject with numbers (owner@id/repository@id).
  name                 = "${var.cluster_name}-deploy"
  description          = "GitHub Actions: deploys to ${var.cluster_name}"
  assume_role_policy   = local.trust.deploy
  max_session_duration = 3600
}

resource "aws_iam_role_policy" "deploy" {
  name   = "deploy"
  role   = aws_iam_role.deploy.id
  policy = local.deploy_policy
}
