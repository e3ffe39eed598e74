mock_provider "aws" {
  source          = "../../mocks"
  override_during = plan
}

variables {
  name               = "janus-test"
  region             = "eu-central-1"
  account_id         = "111122223333"
  cidr               = "10.99.0.0/16"
  zones              = ["eu-central-1a", "eu-central-1b", "eu-central-1c"]
  nat_per_zone       = true
  kms_key_arn        = "arn:aws:kms:eu-central-1:111122223333:key/1234abcd"
  log_retention_days = 7
}

run "each_zone_has_a_public_and_a_private_subnet" {
  command = plan

  assert {
    condition     = { for zone, subnet in aws_subnet.public : subnet.availability_zone => subnet.cidr_block } == { eu-central-1a = "10.99.0.0/20", eu-central-1b = "10.99.16.0/20", eu-central-1c = "10.99.32.0/20" }
    error_message = "public subnets"
  }
  assert {
    condition     = { for zone, subnet in aws_subnet.private : subnet.availability_zone => subnet.cidr_block } == { eu-central-1a = "10.99.64.0/19", eu-central-1b = "10.99.96.0/19", eu-central-1c = "10.99.128.0/19" }
    error_message = "private subnets"
  }
  assert {
    condition     = alltrue([for subnet in concat(values(aws_subnet.public), values(aws_subnet.private)) : !subnet.map_public_ip_on_launch])
    error_message = "no machine gets a public address by being there"
  }
  assert {
    condition     = output.public_subnet_cidrs == ["10.99.0.0/20", "10.99.16.0/20", "10.99.32.0/20"]
    error_message = "the output keeps the order of the zones"
  }
}

run "load_balancers_find_their_subnets_by_tags" {
  command = plan

  assert {
    condition     = alltrue([for subnet in aws_subnet.public : subnet.tags["kubernetes.io/role/elb"] == "1" && !contains(keys(subnet.tags), "kubernetes.io/role/internal-elb")])
    error_message = "public subnets are for internet-facing load balancers"
  }
  assert {
    condition     = alltrue([for subnet in aws_subnet.private : subnet.tags["kubernetes.io/role/internal-elb"] == "1" && !contains(keys(subnet.tags), "kubernetes.io/role/elb")])
    error_message = "private subnets are for internal load balancers"
  }
}

run "nat_per_zone_when_asked_for" {
  command = plan

  assert {
    condition     = toset(keys(aws_nat_gateway.this)) == toset(var.zones) && length(aws_route.nat) == 3
    error_message = "three gateways, and a route in each zone"
  }
}

run "one_nat_otherwise_and_a_route_to_it_from_each_zone" {
  command = plan

  variables {
    nat_per_zone = false
  }
  assert {
    condition     = keys(aws_nat_gateway.this) == ["eu-central-1a"] && length(aws_route.nat) == 3
    error_message = "one gateway, and a route in each zone"
  }
}

run "images_and_layers_come_by_endpoints" {
  command = plan

  assert {
    condition     = aws_vpc_endpoint.s3.vpc_endpoint_type == "Gateway" && aws_vpc_endpoint.s3.service_name == "com.amazonaws.eu-central-1.s3"
    error_message = "S3"
  }
  assert {
    condition     = toset([for endpoint in aws_vpc_endpoint.ecr : endpoint.service_name]) == toset(["com.amazonaws.eu-central-1.ecr.api", "com.amazonaws.eu-central-1.ecr.dkr"]) && alltrue([for endpoint in aws_vpc_endpoint.ecr : endpoint.private_dns_enabled])
    error_message = "ECR"
  }
}

run "all_traffic_is_logged_and_only_flow_logs_write" {
  command = plan

  assert {
    condition     = aws_flow_log.this.traffic_type == "ALL" && aws_cloudwatch_log_group.flow_logs.retention_in_days == 7 && aws_cloudwatch_log_group.flow_logs.kms_key_id == var.kms_key_arn
    error_message = "flow logs: all traffic, kept for a time, encrypted"
  }
  assert {
    condition = jsondecode(aws_iam_role.flow_logs.assume_role_policy) == {
      Version = "2012-10-17"
      Statement = [{
        Effect    = "Allow"
        Action    = "sts:AssumeRole"
        Principal = { Service = "vpc-flow-logs.amazonaws.com" }
        Condition = { StringEquals = { "aws:SourceAccount" = "111122223333" } }
      }]
    }
    error_message = "trust policy of flow logs"
  }
  assert {
    condition     = jsondecode(aws_iam_role_policy.flow_logs.policy).Statement[0].Resource == ["arn:aws:logs:eu-central-1:111122223333:log-group:/aws/vpc/janus-test", "arn:aws:logs:eu-central-1:111122223333:log-group:/aws/vpc/janus-test:*"]
    error_message = "flow logs write to their own group"
  }
}

run "public_addresses_are_refused" {
  command = plan

  variables {
    cidr = "8.8.0.0/16"
  }
  expect_failures = [var.cidr]
}

run "a_small_block_is_refused" {
  command = plan

  variables {
    cidr = "10.99.0.0/20"
  }
  expect_failures = [var.cidr]
}

run "two_zones_are_refused" {
  command = plan

  variables {
    zones = ["eu-central-1a", "eu-central-1b"]
  }
  expect_failures = [var.zones]
}

run "a_zone_of_another_region_is_refused" {
  command = plan

  variables {
    zones = ["eu-central-1a", "eu-central-1b", "eu-west-1a"]
  }
  expect_failures = [var.zones]
}

run "a_retention_that_cloudwatch_does_not_know_is_refused" {
  command = plan

  variables {
    log_retention_days = 8
  }
  expect_failures = [var.log_retention_days]
}
