# The emulator's run ends by destroying everything. Laid over the module by infra/emulate, never by hand.
resource "aws_s3_bucket" "state" {
  lifecycle {
    prevent_destroy = false
  }
}
