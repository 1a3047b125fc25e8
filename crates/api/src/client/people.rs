//! People, asked of a node.

use http::Method;

use super::{Client, json, segment};
use crate::{Erasure, NewName, PersonErasurePlan, PersonStatus, PersonToErase, Problem};

impl Client {
    /// The members of the realm.
    pub async fn people(&self) -> Result<Vec<PersonStatus>, Problem> {
        self.get("/people").await
    }

    /// Takes somebody into the realm who has no machine in it.
    pub async fn add_person(&self, name: &NewName) -> Result<PersonStatus, Problem> {
        self.send(Method::POST, "/people", name).await
    }

    /// Gives somebody another name.
    pub async fn rename_person(&self, person: &str, name: &NewName) -> Result<(), Problem> {
        let request = json(Method::POST, &format!("/people/{}/rename", segment(person)), name)?;
        self.ask(request).await.map(drop)
    }

    /// Takes somebody's rights away until they are given back.
    pub async fn suspend_person(&self, person: &str) -> Result<(), Problem> {
        self.done(Method::POST, &format!("/people/{}/suspend", segment(person))).await
    }

    /// Gives somebody who is suspended their rights back.
    pub async fn resume_person(&self, person: &str) -> Result<(), Problem> {
        self.done(Method::POST, &format!("/people/{}/resume", segment(person))).await
    }

    /// What erasing a person would come to.
    pub async fn plan_person_erasure(
        &self,
        person: &str,
        wish: &PersonToErase,
    ) -> Result<PersonErasurePlan, Problem> {
        self.send(Method::POST, &format!("/people/{}/erasure-plans", segment(person)), wish).await
    }

    /// Erases a person.
    pub async fn erase_person(&self, person: &str, wish: &PersonToErase) -> Result<Erasure, Problem> {
        self.send(Method::POST, &format!("/people/{}/erasures", segment(person)), wish).await
    }
}
