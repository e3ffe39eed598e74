# What the emulator takes and forgets, so that a second plan would always want it back. Laid over the module by
# infra/emulate, never by hand; the mocked tests hold these.
resource "aws_flow_log" "this" {
  lifecycle {
    ignore_changes = [iam_role_arn, max_aggregation_interval, tags, tags_all]
  }
}

resource "aws_vpc_endpoint" "ecr" {
  lifecycle {
    ignore_changes = [private_dns_enabled, security_group_ids]
  }
}
