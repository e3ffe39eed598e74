# The first admin token, made by Secrets Manager and sent to the secret. Write-only: the value is in no plan and no state.
# It is sent again only when the version goes up, so what rotation writes later is left alone.
#
# A file of its own, because Terraform's mocked providers refuse everything that is ephemeral: the mocked tests leave it
# out, and the run on the emulator shows what it does.

ephemeral "aws_secretsmanager_random_password" "admin_token" {
  password_length     = 48
  exclude_punctuation = true
}

resource "aws_secretsmanager_secret_version" "app" {
  secret_id                = aws_secretsmanager_secret.app.id
  secret_string_wo         = jsonencode({ admin_token = ephemeral.aws_secretsmanager_random_password.admin_token.random_password })
  secret_string_wo_version = var.token_version
}
