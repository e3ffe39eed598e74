# The emulator's run ends by destroying everything. Laid over the module by infra/emulate, never by hand.
resource "aws_ecr_repository" "this" {
  lifecycle {
    prevent_destroy = false
  }
}
