variable "name" {
  description = "Name of the repository."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9]+([._/-][a-z0-9]+)*$", var.name))
    error_message = "name must be a repository name of ECR: lower-case letters and digits, joined by . _ / or -."
  }
}

variable "kms_key_arn" {
  description = "Key that encrypts the images."
  type        = string

  validation {
    condition     = can(regex("^arn:[^:]+:kms:", var.kms_key_arn))
    error_message = "kms_key_arn must be the ARN of a KMS key."
  }
}

variable "images_kept" {
  description = "How many of the newest images are kept: how far back a rollback can go."
  type        = number
  default     = 50

  validation {
    condition     = var.images_kept >= 10 && var.images_kept <= 1000 && floor(var.images_kept) == var.images_kept
    error_message = "images_kept must be a whole number from 10 to 1000."
  }
}
