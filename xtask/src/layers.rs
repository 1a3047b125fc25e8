//! The layer check: edges between our crates go down, the core reaches no I/O, and each heavy
//! engine is named by one crate. Reads what Cargo resolved, so it cannot be fooled by a re-export.

mod rules;
mod table;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::Path;

use anyhow::{Context, Result, bail};
use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package, PackageId};

pub(crate) use table::{check as check_table, write};

/// What a crate says of itself in `[package.metadata.freehold]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) layer: String,
    pub(crate) rank: u64,
}

/// The resolved graph of normal dependencies.
#[derive(Debug)]
pub(crate) struct Graph {
    packages: BTreeMap<PackageId, Package>,
    members: BTreeSet<PackageId>,
    edges: BTreeMap<PackageId, Vec<(PackageId, bool)>>,
}

impl Graph {
    /// Asks Cargo for the graph of the workspace at `root`.
    pub(crate) fn load(root: &Path) -> Result<Self> {
        let metadata = MetadataCommand::new()
            .current_dir(root)
            .other_options(vec!["--filter-platform".to_owned(), "x86_64-unknown-linux-gnu".to_owned()])
            .exec()
            .context("cargo metadata")?;
        Self::of(metadata)
    }

    fn of(metadata: Metadata) -> Result<Self> {
        let resolve = metadata.resolve.context("cargo metadata resolved nothing")?;
        let mut edges: BTreeMap<PackageId, Vec<(PackageId, bool)>> = BTreeMap::new();
        for node in resolve.nodes {
            let mut out = Vec::new();
            for dependency in node.deps {
                let kinds = &dependency.dep_kinds;
                let normal = kinds.iter().any(|kind| kind.kind == DependencyKind::Normal);
                let build = kinds.iter().any(|kind| kind.kind == DependencyKind::Build);
                if normal || build {
                    out.push((dependency.pkg, normal));
                }
            }
            edges.insert(node.id, out);
        }
        Ok(Self {
            packages: metadata.packages.into_iter().map(|package| (package.id.clone(), package)).collect(),
            members: metadata.workspace_members.into_iter().collect(),
            edges,
        })
    }

    /// Our own crates.
    pub(crate) fn members(&self) -> impl Iterator<Item = &Package> {
        self.members.iter().filter_map(|id| self.packages.get(id))
    }

    /// Everything that a build of the workspace uses.
    pub(crate) fn packages(&self) -> impl Iterator<Item = &Package> {
        self.packages.values()
    }

    /// What a package depends on when it runs.
    pub(crate) fn uses<'a>(&'a self, id: &PackageId) -> impl Iterator<Item = &'a Package> + use<'a> {
        self.edges
            .get(id)
            .into_iter()
            .flatten()
            .filter(|(_, normal)| *normal)
            .filter_map(|(to, _)| self.packages.get(to))
    }

    /// The shortest path of names from one package to each that it reaches when it runs.
    fn reach(&self, from: &Package) -> BTreeMap<String, Vec<String>> {
        let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let mut seen = BTreeSet::from([from.id.clone()]);
        let mut queue = VecDeque::from([(from.id.clone(), vec![from.name.to_string()])]);
        while let Some((at, path)) = queue.pop_front() {
            for next in self.uses(&at) {
                if seen.insert(next.id.clone()) {
                    let mut path = path.clone();
                    path.push(next.name.to_string());
                    found.entry(next.name.to_string()).or_insert_with(|| path.clone());
                    queue.push_back((next.id.clone(), path));
                }
            }
        }
        found
    }
}

/// Reads where a crate says it stands.
pub(crate) fn place(package: &Package) -> Option<Place> {
    let own = package.metadata.get("freehold")?;
    let layer = own.get("layer")?.as_str()?.to_owned();
    Some(Place { layer, rank: own.get("rank")?.as_u64()? })
}

/// Every broken rule, one line each.
pub(crate) fn findings(graph: &Graph) -> Vec<String> {
    let mut found = Vec::new();
    for member in graph.members() {
        let Some(own) = place(member) else {
            found.push(format!("{}: [package.metadata.freehold] needs layer and rank", member.name));
            continue;
        };
        if !["core", "shell", "beside"].contains(&own.layer.as_str()) {
            found.push(format!("{}: layer `{}` is not core, shell or beside", member.name, own.layer));
        }
        found.extend(climbing_edges(graph, member, &own));
        if own.layer == "core" {
            found.extend(reached_io(graph, member));
        }
        found.extend(strayed_engines(graph, member));
    }
    found
}

fn climbing_edges(graph: &Graph, member: &Package, own: &Place) -> Vec<String> {
    let ours = graph.uses(&member.id).filter_map(|to| place(to).map(|its| (to, its)));
    ours.filter(|(_, its)| its.rank >= own.rank || (own.layer == "core" && its.layer != "core"))
        .map(|(to, its)| {
            format!(
                "{} ({} {}) -> {} ({} {}): an edge must go down",
                member.name, own.layer, own.rank, to.name, its.layer, its.rank
            )
        })
        .collect()
}

fn reached_io(graph: &Graph, member: &Package) -> Vec<String> {
    let reach = graph.reach(member);
    rules::IO
        .iter()
        .filter_map(|name| reach.get(*name).map(|path| (name, path)))
        .map(|(name, path)| format!("{} is core and reaches {name}: {}", member.name, path.join(" -> ")))
        .collect()
}

fn strayed_engines(graph: &Graph, member: &Package) -> Vec<String> {
    graph
        .uses(&member.id)
        .filter_map(|to| rules::ENGINES.iter().find(|engine| engine.name == to.name.as_str()))
        .filter(|engine| !engine.homes.iter().any(|home| *home == member.name.as_str()))
        .map(|engine| {
            format!("{} names {}, which belongs to {}", member.name, engine.name, engine.homes.join(", "))
        })
        .collect()
}

/// The `layers` step.
pub(crate) fn check(root: &Path) -> Result<()> {
    let graph = Graph::load(root)?;
    let mut found = findings(&graph);
    found.extend(check_table(root, &graph)?);
    if !found.is_empty() {
        bail!("{}", found.join("\n"));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
