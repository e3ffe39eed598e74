# What the AWS Load Balancer Controller may do: look at everything, make what it marks with the cluster's name, and change
# only what carries that mark.

locals {
  elb_prefix  = "${local.arn_prefix}:elasticloadbalancing:${var.region}:${var.account_id}"
  ec2_prefix  = "${local.arn_prefix}:ec2:${var.region}:${var.account_id}"
  marked      = { StringEquals = { "aws:ResourceTag/elbv2.k8s.aws/cluster" = var.cluster_name } }
  will_mark   = { StringEquals = { "aws:RequestTag/elbv2.k8s.aws/cluster" = var.cluster_name } }
  in_this_vpc = { ArnEquals = { "ec2:Vpc" = "${local.ec2_prefix}:vpc/${var.vpc_id}" } }

  load_balancer_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid    = "Look"
        Effect = "Allow"
        Action = [
          "acm:DescribeCertificate",
          "acm:ListCertificates",
          "ec2:DescribeAccountAttributes",
          "ec2:DescribeAddresses",
          "ec2:DescribeAvailabilityZones",
          "ec2:DescribeInstances",
          "ec2:DescribeInternetGateways",
          "ec2:DescribeNetworkInterfaces",
          "ec2:DescribeRouteTables",
          "ec2:DescribeSecurityGroups",
          "ec2:DescribeSubnets",
          "ec2:DescribeTags",
          "ec2:DescribeVpcPeeringConnections",
          "ec2:DescribeVpcs",
          "ec2:GetSecurityGroupsForVpc",
          "elasticloadbalancing:DescribeCapacityReservation",
          "elasticloadbalancing:DescribeListenerAttributes",
          "elasticloadbalancing:DescribeListenerCertificates",
          "elasticloadbalancing:DescribeListeners",
          "elasticloadbalancing:DescribeLoadBalancerAttributes",
          "elasticloadbalancing:DescribeLoadBalancers",
          "elasticloadbalancing:DescribeRules",
          "elasticloadbalancing:DescribeSSLPolicies",
          "elasticloadbalancing:DescribeTags",
          "elasticloadbalancing:DescribeTargetGroupAttributes",
          "elasticloadbalancing:DescribeTargetGroups",
          "elasticloadbalancing:DescribeTargetHealth",
          "elasticloadbalancing:DescribeTrustStores",
        ]
        Resource = "*"
      },
      {
        Sid       = "FirstLoadBalancerOfTheAccount"
        Effect    = "Allow"
        Action    = "iam:CreateServiceLinkedRole"
        Resource  = "${local.arn_prefix}:iam::${var.account_id}:role/aws-service-role/elasticloadbalancing.amazonaws.com/*"
        Condition = { StringEquals = { "iam:AWSServiceName" = "elasticloadbalancing.amazonaws.com" } }
      },
      {
        Sid      = "MakeSecurityGroupsInThisVPC"
        Effect   = "Allow"
        Action   = "ec2:CreateSecurityGroup"
        Resource = "${local.ec2_prefix}:vpc/${var.vpc_id}"
      },
      {
        Sid       = "MakeMarkedSecurityGroups"
        Effect    = "Allow"
        Action    = "ec2:CreateSecurityGroup"
        Resource  = "${local.ec2_prefix}:security-group/*"
        Condition = local.will_mark
      },
      {
        Sid      = "MarkNewSecurityGroups"
        Effect   = "Allow"
        Action   = "ec2:CreateTags"
        Resource = "${local.ec2_prefix}:security-group/*"
        Condition = {
          StringEquals = merge(local.will_mark.StringEquals, { "ec2:CreateAction" = "CreateSecurityGroup" })
        }
      },
      {
        Sid       = "OpenAndCloseSecurityGroupsOfThisVPC"
        Effect    = "Allow"
        Action    = ["ec2:AuthorizeSecurityGroupIngress", "ec2:RevokeSecurityGroupIngress"]
        Resource  = "${local.ec2_prefix}:security-group/*"
        Condition = local.in_this_vpc
      },
      {
        Sid       = "ChangeMarkedSecurityGroups"
        Effect    = "Allow"
        Action    = ["ec2:CreateTags", "ec2:DeleteTags", "ec2:DeleteSecurityGroup"]
        Resource  = "${local.ec2_prefix}:security-group/*"
        Condition = local.marked
      },
      {
        Sid       = "MakeMarkedLoadBalancers"
        Effect    = "Allow"
        Action    = ["elasticloadbalancing:CreateLoadBalancer", "elasticloadbalancing:CreateTargetGroup"]
        Resource  = ["${local.elb_prefix}:loadbalancer/*", "${local.elb_prefix}:targetgroup/*"]
        Condition = local.will_mark
      },
      {
        Sid      = "MarkNewLoadBalancers"
        Effect   = "Allow"
        Action   = "elasticloadbalancing:AddTags"
        Resource = ["${local.elb_prefix}:loadbalancer/*", "${local.elb_prefix}:targetgroup/*"]
        Condition = {
          StringEquals = merge(local.will_mark.StringEquals, {
            "elasticloadbalancing:CreateAction" = ["CreateLoadBalancer", "CreateTargetGroup"]
          })
        }
      },
      {
        Sid    = "ChangeMarkedLoadBalancers"
        Effect = "Allow"
        Action = [
          "elasticloadbalancing:AddTags",
          "elasticloadbalancing:CreateListener",
          "elasticloadbalancing:DeleteLoadBalancer",
          "elasticloadbalancing:DeleteTargetGroup",
          "elasticloadbalancing:DeregisterTargets",
          "elasticloadbalancing:ModifyCapacityReservation",
          "elasticloadbalancing:ModifyLoadBalancerAttributes",
          "elasticloadbalancing:ModifyTargetGroup",
          "elasticloadbalancing:ModifyTargetGroupAttributes",
          "elasticloadbalancing:RegisterTargets",
          "elasticloadbalancing:RemoveTags",
          "elasticloadbalancing:SetIpAddressType",
          "elasticloadbalancing:SetSecurityGroups",
          "elasticloadbalancing:SetSubnets",
        ]
        Resource  = ["${local.elb_prefix}:loadbalancer/*", "${local.elb_prefix}:targetgroup/*"]
        Condition = local.marked
      },
      {
        Sid    = "ListenersAndRules"
        Effect = "Allow"
        Action = [
          "elasticloadbalancing:AddListenerCertificates",
          "elasticloadbalancing:AddTags",
          "elasticloadbalancing:CreateRule",
          "elasticloadbalancing:DeleteListener",
          "elasticloadbalancing:DeleteRule",
          "elasticloadbalancing:ModifyListener",
          "elasticloadbalancing:ModifyListenerAttributes",
          "elasticloadbalancing:ModifyRule",
          "elasticloadbalancing:RemoveListenerCertificates",
          "elasticloadbalancing:RemoveTags",
          "elasticloadbalancing:SetRulePriorities",
        ]
        Resource = ["${local.elb_prefix}:listener/*", "${local.elb_prefix}:listener-rule/*"]
      },
    ]
  })
}
