# What the emulator takes and forgets, so that a second plan would always want it back. Laid over the module by
# infra/emulate, never by hand; the mocked tests hold these.
resource "aws_eks_cluster" "this" {
  lifecycle {
    ignore_changes = [upgrade_policy]
  }
}

resource "aws_eks_node_group" "this" {
  lifecycle {
    ignore_changes = [scaling_config[0].desired_size, launch_template, update_config]
  }
}
