# EKS add-ons, at pinned versions. Two come before the nodes: the network, and what hands its credentials to pods.

locals {
  addons_before_compute = {
    "vpc-cni"                = { enableNetworkPolicy = "true" }
    "eks-pod-identity-agent" = null
  }
  addons = {
    "coredns"        = null
    "kube-proxy"     = null
    "metrics-server" = null
  }
}

module "vpc_cni" {
  source = "../pod-identity"

  name               = "${var.name}-vpc-cni"
  account_id         = var.account_id
  cluster_name       = aws_eks_cluster.this.name
  namespace          = "kube-system"
  service_account    = "aws-node"
  managed_policy_arn = "arn:${data.aws_partition.current.partition}:iam::aws:policy/AmazonEKS_CNI_Policy"
}

resource "aws_eks_addon" "before_compute" {
  for_each = local.addons_before_compute

  cluster_name                = aws_eks_cluster.this.name
  addon_name                  = each.key
  addon_version               = var.addon_versions[each.key]
  configuration_values        = each.value == null ? null : jsonencode(each.value)
  resolve_conflicts_on_create = "OVERWRITE"
  resolve_conflicts_on_update = "OVERWRITE"

  depends_on = [module.vpc_cni]
}

resource "aws_eks_addon" "this" {
  for_each = local.addons

  cluster_name                = aws_eks_cluster.this.name
  addon_name                  = each.key
  addon_version               = var.addon_versions[each.key]
  configuration_values        = each.value == null ? null : jsonencode(each.value)
  resolve_conflicts_on_create = "OVERWRITE"
  resolve_conflicts_on_update = "OVERWRITE"

  depends_on = [aws_eks_node_group.this]
}
