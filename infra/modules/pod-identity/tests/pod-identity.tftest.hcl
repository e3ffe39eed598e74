mock_provider "aws" {
  source          = "../../mocks"
  override_during = plan
}

variables {
  name            = "janus-test-pods"
  account_id      = "111122223333"
  cluster_name    = "janus-test"
  namespace       = "somewhere"
  service_account = "someone"
  policy          = "{\"Version\":\"2012-10-17\",\"Statement\":[]}"
}

run "only_pods_of_this_account_take_the_role" {
  command = plan

  assert {
    condition = jsondecode(aws_iam_role.this.assume_role_policy) == {
      Version = "2012-10-17"
      Statement = [{
        Effect    = "Allow"
        Action    = ["sts:AssumeRole", "sts:TagSession"]
        Principal = { Service = "pods.eks.amazonaws.com" }
        Condition = { StringEquals = { "aws:SourceAccount" = "111122223333" } }
      }]
    }
    error_message = "trust policy"
  }
  assert {
    condition     = aws_eks_pod_identity_association.this.namespace == "somewhere" && aws_eks_pod_identity_association.this.service_account == "someone" && aws_eks_pod_identity_association.this.role_arn == aws_iam_role.this.arn
    error_message = "association"
  }
  assert {
    condition     = aws_iam_role_policy.this[0].policy == var.policy && length(aws_iam_role_policy_attachment.this) == 0
    error_message = "policy"
  }
}

run "a_policy_of_aws_instead" {
  command = plan

  variables {
    policy             = null
    managed_policy_arn = "arn:aws:iam::aws:policy/AmazonEKS_CNI_Policy"
  }
  assert {
    condition     = aws_iam_role_policy_attachment.this[0].policy_arn == var.managed_policy_arn && length(aws_iam_role_policy.this) == 0
    error_message = "attachment"
  }
}

run "a_role_that_may_do_nothing_is_refused" {
  command = plan

  variables {
    policy = null
  }
  expect_failures = [var.managed_policy_arn]
}

run "what_is_no_policy_is_refused" {
  command = plan

  variables {
    policy = "allow all"
  }
  expect_failures = [var.policy]
}

run "a_name_that_kubernetes_refuses_is_refused" {
  command = plan

  variables {
    namespace = "Some_Where"
  }
  expect_failures = [var.namespace]
}
