mock_provider "aws" {
  source          = "../../mocks"
  override_during = plan
}

variables {
  name        = "janus-test"
  kms_key_arn = "arn:aws:kms:eu-central-1:111122223333:key/1234abcd"
}

run "images_are_immutable_scanned_and_encrypted" {
  command = plan

  assert {
    condition     = aws_ecr_repository.this.image_tag_mutability == "IMMUTABLE" && aws_ecr_repository.this.image_scanning_configuration[0].scan_on_push
    error_message = "immutable tags, scanned"
  }
  assert {
    condition     = aws_ecr_repository.this.encryption_configuration[0].encryption_type == "KMS" && aws_ecr_repository.this.encryption_configuration[0].kms_key == var.kms_key_arn
    error_message = "encrypted with the key"
  }
}

run "old_images_go_and_the_newest_stay" {
  command = plan

  assert {
    condition = jsondecode(aws_ecr_lifecycle_policy.this.policy) == {
      rules = [
        {
          rulePriority = 1
          description  = "What no tag names any more"
          selection    = { tagStatus = "untagged", countType = "sinceImagePushed", countUnit = "days", countNumber = 7 }
          action       = { type = "expire" }
        },
        {
          rulePriority = 2
          description  = "All but the newest images"
          selection    = { tagStatus = "any", countType = "imageCountMoreThan", countNumber = 50 }
          action       = { type = "expire" }
        },
      ]
    }
    error_message = "lifecycle policy"
  }
}

run "keeping_too_few_to_roll_back_is_refused" {
  command = plan

  variables {
    images_kept = 1
  }
  expect_failures = [var.images_kept]
}

run "a_name_that_ecr_refuses_is_refused" {
  command = plan

  variables {
    name = "Janus"
  }
  expect_failures = [var.name]
}
