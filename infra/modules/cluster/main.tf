# The EKS cluster. Who may log in stands in access.tf, nodes in nodes.tf, add-ons in addons.tf.

data "aws_partition" "current" {}

resource "aws_cloudwatch_log_group" "control_plane" {
  # checkov:skip=CKV_AWS_338: How long logs are kept is a decision of the environment; prod keeps them for a year.
  name              = "/aws/eks/${var.name}/cluster"
  retention_in_days = var.log_retention_days
  kms_key_id        = var.kms_key_arn
}

resource "aws_iam_role" "cluster" {
  name        = "${var.name}-cluster"
  description = "The EKS control plane of ${var.name}"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "eks.amazonaws.com" }
    }]
  })
}

resource "aws_iam_role_policy_attachment" "cluster" {
  role       = aws_iam_role.cluster.name
  policy_arn = "arn:${data.aws_partition.current.partition}:iam::aws:policy/AmazonEKSClusterPolicy"
}

# EKS makes grants with the control plane's role for the envelope encryption of secrets.
resource "aws_iam_role_policy" "cluster_encryption" {
  name = "encryption"
  role = aws_iam_role.cluster.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect   = "Allow"
      Action   = ["kms:Encrypt", "kms:Decrypt", "kms:ListGrants", "kms:DescribeKey"]
      Resource = var.kms_key_arn
    }]
  })
}

resource "aws_eks_cluster" "this" {
  # checkov:skip=CKV_AWS_39: The public endpoint is off unless networks are named, and the variable refuses wide ones.
  # checkov:skip=CKV_AWS_38: As above.
  # checkov:skip=CKV_AWS_339: The check has a list of versions of its own, which ends before this one.
  name     = var.name
  role_arn = aws_iam_role.cluster.arn
  version  = var.kubernetes_version

  enabled_cluster_log_types = ["api", "audit", "authenticator", "controllerManager", "scheduler"]

  # The add-ons are those of addons.tf, at their versions.
  bootstrap_self_managed_addons = false

  # Entries only, and none for whoever happens to run Terraform: everybody who can log in has a name in access.tf.
  access_config {
    authentication_mode                         = "API"
    bootstrap_cluster_creator_admin_permissions = false
  }

  vpc_config {
    subnet_ids              = values(var.private_subnet_ids)
    security_group_ids      = [aws_security_group.api.id]
    endpoint_private_access = true
    endpoint_public_access  = length(var.api_public_cidrs) > 0
    public_access_cidrs     = length(var.api_public_cidrs) > 0 ? var.api_public_cidrs : null
  }

  encryption_config {
    resources = ["secrets"]
    provider {
      key_arn = var.kms_key_arn
    }
  }

  # An old version is upgraded when its support ends; it is never paid for sixfold without anybody noticing.
  upgrade_policy {
    support_type = "STANDARD"
  }

  depends_on = [
    aws_cloudwatch_log_group.control_plane,
    aws_iam_role_policy.cluster_encryption,
    aws_iam_role_policy_attachment.cluster,
  ]
}

# The API's interfaces in the VPC wear the first group beside the one that EKS makes for nodes; machines in the VPC that
# talk to the API (a delivery runner, a bastion) wear the second.
resource "aws_security_group" "api" {
  name        = "${var.name}-api"
  description = "The interfaces of the cluster's API in the VPC"
  vpc_id      = var.vpc_id

  tags = { Name = "${var.name}-api" }
}

resource "aws_vpc_security_group_ingress_rule" "api" {
  security_group_id            = aws_security_group.api.id
  description                  = "HTTPS from machines in the VPC that may reach the API"
  referenced_security_group_id = aws_security_group.api_clients.id
  ip_protocol                  = "tcp"
  from_port                    = 443
  to_port                      = 443
}

resource "aws_security_group" "api_clients" {
  # checkov:skip=CKV2_AWS_5: Worn by machines that are not made here, as the delivery runner.
  name        = "${var.name}-api-clients"
  description = "Machines in the VPC that may reach the cluster's API"
  vpc_id      = var.vpc_id

  tags = { Name = "${var.name}-api-clients" }
}

resource "aws_vpc_security_group_egress_rule" "api_clients_load_balancer" {
  security_group_id = aws_security_group.api_clients.id
  description       = "HTTP to a load balancer inside the VPC, which delivery tests"
  cidr_ipv4         = var.vpc_cidr
  ip_protocol       = "tcp"
  from_port         = 80
  to_port           = 80
}

resource "aws_vpc_security_group_egress_rule" "api_clients" {
  security_group_id = aws_security_group.api_clients.id
  description       = "HTTPS to the API, to GitHub and to AWS"
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}
