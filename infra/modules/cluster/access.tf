# Who may log in. Every entry has a name, and there is always an admin: nobody can make a cluster that nobody can enter.

locals {
  access_policy = "arn:${data.aws_partition.current.partition}:eks::aws:cluster-access-policy"

  access_entries = merge(
    { for name, arn in var.admins : "admin/${name}" => {
      principal_arn = arn, policy = "AmazonEKSClusterAdminPolicy", namespaces = [], groups = []
    } },
    { for name, arn in var.readers : "reader/${name}" => {
      principal_arn = arn, policy = "AmazonEKSViewPolicy", namespaces = [], groups = []
    } },
    # The policy covers what Kubernetes itself has. The group is for the operators' kinds (ServiceMonitor, ExternalSecret,
    # HTTPRoute): infra/addons/delivery.yaml gives it a role in the same namespace.
    { "delivery" = {
      principal_arn = var.delivery_role_arn, policy = "AmazonEKSEditPolicy", namespaces = [var.delivery_namespace], groups = ["janus:delivery"]
    } },
  )
}

resource "aws_eks_access_entry" "this" {
  for_each = local.access_entries

  cluster_name      = aws_eks_cluster.this.name
  principal_arn     = each.value.principal_arn
  kubernetes_groups = each.value.groups
  type              = "STANDARD"

  tags = { Name = each.key }
}

resource "aws_eks_access_policy_association" "this" {
  for_each = local.access_entries

  cluster_name  = aws_eks_cluster.this.name
  principal_arn = aws_eks_access_entry.this[each.key].principal_arn
  policy_arn    = "${local.access_policy}/${each.value.policy}"

  access_scope {
    type       = length(each.value.namespaces) > 0 ? "namespace" : "cluster"
    namespaces = each.value.namespaces
  }
}
