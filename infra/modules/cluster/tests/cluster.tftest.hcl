mock_provider "aws" {
  source          = "../../mocks"
  override_during = plan
}

variables {
  name               = "janus-test"
  account_id         = "111122223333"
  vpc_id             = "vpc-0123456789abcdef0"
  vpc_cidr           = "10.0.0.0/16"
  private_subnet_ids = { eu-central-1a = "subnet-a", eu-central-1b = "subnet-b", eu-central-1c = "subnet-c" }
  kms_key_arn        = "arn:aws:kms:eu-central-1:111122223333:key/1234abcd"
  log_retention_days = 7
  api_public_cidrs   = ["203.0.113.0/24"]
  admins             = { alice = "arn:aws:iam::111122223333:role/alice" }
  readers            = { bob = "arn:aws:iam::111122223333:role/bob" }
  delivery_role_arn  = "arn:aws:iam::111122223333:role/deploy"
  delivery_namespace = "janus"
  instance_types     = ["m6i.large"]
  nodes_per_zone     = { min = 1, max = 3 }
}

run "whoever_logs_in_has_a_named_entry" {
  command = plan

  assert {
    condition     = aws_eks_cluster.this.access_config[0].authentication_mode == "API" && !aws_eks_cluster.this.access_config[0].bootstrap_cluster_creator_admin_permissions
    error_message = "entries only, none by accident"
  }
  assert {
    condition = { for name, entry in aws_eks_access_entry.this : name => entry.principal_arn } == {
      "admin/alice" = "arn:aws:iam::111122223333:role/alice"
      "reader/bob"  = "arn:aws:iam::111122223333:role/bob"
      "delivery"    = "arn:aws:iam::111122223333:role/deploy"
    }
    error_message = "admin, reader and delivery"
  }
  assert {
    condition = { for name, policy in aws_eks_access_policy_association.this : name => "${policy.policy_arn} ${policy.access_scope[0].type}" } == {
      "admin/alice" = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy cluster"
      "reader/bob"  = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSViewPolicy cluster"
      "delivery"    = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSEditPolicy namespace"
    }
    error_message = "what each may do"
  }
  assert {
    condition     = aws_eks_access_policy_association.this["delivery"].access_scope[0].namespaces == toset(["janus"]) && aws_eks_access_entry.this["delivery"].kubernetes_groups == toset(["janus:delivery"])
    error_message = "delivery changes one namespace"
  }
}

run "a_cluster_that_nobody_can_log_in_to_is_refused" {
  command = plan

  variables {
    admins = {}
  }
  expect_failures = [var.admins]
}

run "an_admin_by_session_is_refused" {
  command = plan

  variables {
    admins = { alice = "arn:aws:sts::111122223333:assumed-role/alice/session" }
  }
  expect_failures = [var.admins]
}

run "two_entries_for_one_principal_are_refused" {
  command = plan

  variables {
    readers = { alice = "arn:aws:iam::111122223333:role/alice" }
  }
  expect_failures = [var.readers]
}

run "the_api_for_everybody_is_refused" {
  command = plan

  variables {
    api_public_cidrs = ["203.0.113.0/24", "0.0.0.0/0"]
  }
  expect_failures = [var.api_public_cidrs]
}

run "the_api_for_two_halves_of_everybody_is_refused" {
  command = plan

  variables {
    api_public_cidrs = ["0.0.0.0/1", "128.0.0.0/1"]
  }
  expect_failures = [var.api_public_cidrs]
}

run "no_public_network_switches_the_public_endpoint_off" {
  command = plan

  variables {
    api_public_cidrs = []
  }
  assert {
    condition     = !aws_eks_cluster.this.vpc_config[0].endpoint_public_access && aws_eks_cluster.this.vpc_config[0].endpoint_private_access
    error_message = "private only"
  }
}

run "the_control_plane_is_encrypted_logged_and_never_in_extended_support" {
  command = plan

  assert {
    condition     = aws_eks_cluster.this.encryption_config[0].resources == toset(["secrets"]) && aws_eks_cluster.this.encryption_config[0].provider[0].key_arn == var.kms_key_arn
    error_message = "secrets are encrypted with the key"
  }
  assert {
    condition     = aws_eks_cluster.this.enabled_cluster_log_types == toset(["api", "audit", "authenticator", "controllerManager", "scheduler"])
    error_message = "all logs of the control plane"
  }
  assert {
    condition     = aws_cloudwatch_log_group.control_plane.name == "/aws/eks/janus-test/cluster" && aws_cloudwatch_log_group.control_plane.retention_in_days == 7
    error_message = "the group that EKS writes to, with an end"
  }
  assert {
    condition     = aws_eks_cluster.this.upgrade_policy[0].support_type == "STANDARD"
    error_message = "support type"
  }
  assert {
    condition     = aws_eks_cluster.this.vpc_config[0].public_access_cidrs == toset(["203.0.113.0/24"])
    error_message = "the public endpoint is for the named networks"
  }
}

run "nodes_are_private_on_demand_and_in_each_zone" {
  command = plan

  assert {
    condition     = tomap({ for zone, group in aws_eks_node_group.this : zone => tolist(group.subnet_ids)[0] }) == tomap(var.private_subnet_ids) && alltrue([for group in aws_eks_node_group.this : length(group.subnet_ids) == 1])
    error_message = "a group for each zone, in the private subnet"
  }
  assert {
    condition     = alltrue([for group in aws_eks_node_group.this : group.capacity_type == "ON_DEMAND" && group.ami_type == "AL2023_x86_64_STANDARD" && group.version == var.kubernetes_version])
    error_message = "on demand, AL2023, the version of the control plane"
  }
  assert {
    condition     = alltrue([for group in aws_eks_node_group.this : group.scaling_config[0].min_size == 1 && group.scaling_config[0].max_size == 3 && group.update_config[0].max_unavailable == 1])
    error_message = "scaling"
  }
}

run "pods_cannot_take_the_role_of_their_node" {
  command = plan

  assert {
    condition     = aws_launch_template.node.metadata_options[0].http_tokens == "required" && aws_launch_template.node.metadata_options[0].http_put_response_hop_limit == 1
    error_message = "IMDSv2, one hop"
  }
  assert {
    condition     = aws_launch_template.node.block_device_mappings[0].ebs[0].encrypted == "true"
    error_message = "encrypted disk"
  }
  assert {
    condition     = toset([for attachment in aws_iam_role_policy_attachment.node : attachment.policy_arn]) == toset(["arn:aws:iam::aws:policy/AmazonEKSWorkerNodePolicy", "arn:aws:iam::aws:policy/AmazonEC2ContainerRegistryPullOnly"])
    error_message = "nodes join and pull, no more"
  }
}

run "addons_are_pinned_and_network_policy_is_on" {
  command = plan

  assert {
    condition     = tomap({ for name, addon in merge(aws_eks_addon.before_compute, aws_eks_addon.this) : name => addon.addon_version }) == var.addon_versions
    error_message = "each add-on at its version"
  }
  assert {
    condition     = toset(keys(aws_eks_addon.before_compute)) == toset(["vpc-cni", "eks-pod-identity-agent"])
    error_message = "before the nodes"
  }
  assert {
    condition     = jsondecode(aws_eks_addon.before_compute["vpc-cni"].configuration_values) == { enableNetworkPolicy = "true" }
    error_message = "network policies are enforced"
  }
}

run "kube_proxy_of_another_minor_version_is_refused" {
  command = plan

  variables {
    kubernetes_version = "1.37"
  }
  expect_failures = [var.addon_versions]
}

run "arm_nodes_are_refused" {
  command = plan

  variables {
    instance_types = ["m7g.large"]
  }
  expect_failures = [var.instance_types]
}

run "two_zones_are_refused" {
  command = plan

  variables {
    private_subnet_ids = { eu-central-1a = "subnet-a", eu-central-1b = "subnet-b" }
  }
  expect_failures = [var.private_subnet_ids]
}

run "delivery_into_the_system_is_refused" {
  command = plan

  variables {
    delivery_namespace = "kube-system"
  }
  expect_failures = [var.delivery_namespace]
}
