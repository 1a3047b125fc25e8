//! Deleting many objects at once, of which only some may be deleted.

use s3s::dto::{DeleteObjectsInput, DeleteObjectsOutput};
use s3s::{S3Request, S3Response, S3Result};

use crate::front::Front;

impl Front {
    /// Deletes what the asker may delete, and says of the rest why not.
    pub(crate) async fn delete_allowed(
        &self,
        mut req: S3Request<DeleteObjectsInput>,
    ) -> S3Result<S3Response<DeleteObjectsOutput>> {
        let asked = !req.input.delete.objects.is_empty();
        let refused = self.guard.strain(&mut req).await?;
        // A request that names nothing is refused by its handler.
        let mut answer = if asked && req.input.delete.objects.is_empty() {
            S3Response::new(DeleteObjectsOutput::default())
        } else {
            self.delete_many(req.input).await?
        };
        if !refused.is_empty() {
            let errors = refused.into_iter().map(|(object, error)| s3s::dto::Error {
                code: Some(error.code().as_str().to_owned()),
                key: Some(object.key),
                message: error.message().map(str::to_owned),
                version_id: object.version_id,
            });
            answer.output.errors.get_or_insert_default().extend(errors);
        }
        Ok(answer)
    }
}
