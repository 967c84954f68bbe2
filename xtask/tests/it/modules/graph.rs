//! Which module uses which, and the circles among them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt::Write;

use super::source::{Files, Import, Module, ModulePath, Path, modules};

/// A module uses an item that another one defines.
struct Arrow {
    from: ModulePath,
    to: ModulePath,
    place: (String, usize),
}

/// Each circle among the modules of one folder, with the arrows that make it. A folder counts as one, so
/// two folders that use each other are a circle as well, whichever files do it.
pub(super) fn circles(files: &Files) -> Vec<String> {
    let modules = modules(files);
    let mut folders: BTreeMap<ModulePath, Edges> = BTreeMap::new();
    for arrow in arrows(&modules) {
        let folder = common(&arrow.from, &arrow.to);
        let edge = (step(&arrow.from, folder.len()), step(&arrow.to, folder.len()));
        folders
            .entry(folder)
            .or_default()
            .entry(edge)
            .or_default()
            .push(arrow);
    }
    folders
        .iter()
        .flat_map(|(folder, edges)| {
            let own = &modules[folder].file;
            components(edges)
                .into_iter()
                .map(move |component| described(folder, own, &component, edges))
        })
        .collect()
}

/// A child of the folder with all that is below it; `None` is the folder's own file.
type Node = Option<String>;
type Edges = BTreeMap<(Node, Node), Vec<Arrow>>;

fn common(one: &ModulePath, two: &ModulePath) -> ModulePath {
    one.iter()
        .zip(two)
        .take_while(|(a, b)| a == b)
        .map(|(name, _)| name.clone())
        .collect()
}

fn step(path: &ModulePath, depth: usize) -> Node {
    path.get(depth).cloned()
}

fn arrows(modules: &BTreeMap<ModulePath, Module>) -> Vec<Arrow> {
    let mut arrows = Vec::new();
    for (path, module) in modules {
        let from = of_file(modules, path);
        let mut used = |target: Target, at: &Path| {
            let (Target::Module(to) | Target::Item(to)) = target;
            let to = of_file(modules, &to);
            if from != to {
                let place = (module.file.clone(), at.line);
                arrows.push(Arrow {
                    from: from.clone(),
                    to,
                    place,
                });
            }
        };
        for import in &module.imports {
            match resolve(modules, path, &import.path.segments, 0) {
                // A module is used by the paths that begin with it.
                Some(Target::Module(_)) if import.name != "*" => {}
                Some(target) if !import.reexported => used(target, &import.path),
                _ => {}
            }
        }
        for mention in &module.paths {
            // An import has its arrow already.
            if imported(module, &mention.segments[0]).is_some_and(|import| {
                !import.reexported
                    && matches!(
                        resolve(modules, path, &import.path.segments, 0),
                        Some(Target::Item(_))
                    )
            }) {
                continue;
            }
            match resolve(modules, path, &mention.segments, 0) {
                Some(Target::Module(_)) if mention.segments.len() == 1 => {}
                Some(target) => used(target, mention),
                None => {}
            }
        }
    }
    arrows
}

/// The module whose file holds this one.
fn of_file(modules: &BTreeMap<ModulePath, Module>, path: &ModulePath) -> ModulePath {
    let mut path = path.clone();
    while modules[&path].inline {
        path.pop();
    }
    path
}

enum Target {
    Module(ModulePath),
    /// An item, by the module that defines it.
    Item(ModulePath),
}

/// Imports lead to each other; a circle among them ends here.
const MAX_IMPORTS: usize = 16;

/// What a path in `module` refers to; `None` for another crate, or for a name that the module itself defines.
fn resolve(
    modules: &BTreeMap<ModulePath, Module>,
    module: &ModulePath,
    segments: &[String],
    imports: usize,
) -> Option<Target> {
    let (first, mut rest) = segments.split_first()?;
    let mut here = match first.as_str() {
        "crate" => Vec::new(),
        "self" => module.clone(),
        "super" => module[..module.len().checked_sub(1)?].to_vec(),
        name => match named(modules, module, name, imports)? {
            Target::Module(path) => path,
            item => return Some(item),
        },
    };
    while let Some((name, after)) = rest.split_first() {
        rest = after;
        if name == "super" {
            here.pop();
            continue;
        }
        match named(modules, &here, name, imports) {
            Some(Target::Module(path)) => here = path,
            Some(item) => return Some(item),
            None if imported(&modules[&here], name).is_some() => return None,
            None => return Some(Target::Item(here)),
        }
    }
    Some(Target::Module(here))
}

/// A child of the module, or what it imports by this name.
fn named(
    modules: &BTreeMap<ModulePath, Module>,
    path: &ModulePath,
    name: &str,
    imports: usize,
) -> Option<Target> {
    let module = &modules[path];
    if module.children.contains(name) {
        return Some(Target::Module([path.as_slice(), &[name.to_owned()]].concat()));
    }
    let import = imported(module, name)?;
    // `pub(crate) use words;` passes on a macro of the same file.
    if import.path.segments == [name] || imports == MAX_IMPORTS {
        return None;
    }
    resolve(modules, path, &import.path.segments, imports + 1)
}

fn imported<'a>(module: &'a Module, name: &str) -> Option<&'a Import> {
    module.imports.iter().find(|import| import.name == name)
}

/// The sets of more than one node in which every node leads to every other.
fn components(edges: &Edges) -> Vec<BTreeSet<Node>> {
    let nodes: BTreeSet<&Node> = edges.keys().flat_map(|(from, to)| [from, to]).collect();
    let mut components: Vec<BTreeSet<Node>> = Vec::new();
    for node in nodes {
        if components.iter().any(|component| component.contains(node)) {
            continue;
        }
        let component: BTreeSet<Node> = reached(edges, node)
            .into_iter()
            .filter(|other| reached(edges, other).contains(node))
            .collect();
        if component.len() > 1 {
            components.push(component);
        }
    }
    components
}

fn reached(edges: &Edges, start: &Node) -> BTreeSet<Node> {
    let mut reached = BTreeSet::new();
    let mut queue = VecDeque::from([start]);
    while let Some(node) = queue.pop_front() {
        for (_, to) in edges.keys().filter(|(from, _)| from == node) {
            if reached.insert(to.clone()) {
                queue.push_back(to);
            }
        }
    }
    reached
}

/// `a -> b -> a`, then every arrow between the modules of the component.
fn described(folder: &ModulePath, own: &str, component: &BTreeSet<Node>, edges: &Edges) -> String {
    let label = |node: &Node| match node {
        Some(name) => [folder.as_slice(), std::slice::from_ref(name)]
            .concat()
            .join("::"),
        None => own.to_owned(),
    };
    let inside: Vec<_> = edges
        .iter()
        .filter(|((from, to), _)| component.contains(from) && component.contains(to))
        .collect();
    let shortest = component
        .iter()
        .map(|start| shortest(start, &inside))
        .min_by_key(Vec::len)
        .unwrap_or_default();
    let circle: Vec<String> = shortest.into_iter().map(label).collect();
    let mut text = circle.join(" -> ");
    if component.len() + 1 > circle.len() {
        write!(text, " ({} modules in all)", component.len()).unwrap();
    }
    for ((from, to), arrows) in inside {
        let places: BTreeSet<_> = arrows.iter().map(|arrow| &arrow.place).collect();
        let places: Vec<String> = places
            .iter()
            .map(|(file, line)| format!("{file}:{line}"))
            .collect();
        let places = places.join(", ");
        write!(text, "\n    {} -> {}: {places}", label(from), label(to)).unwrap();
    }
    text
}

/// From a node back to itself.
fn shortest<'a>(start: &'a Node, edges: &[(&'a (Node, Node), &Vec<Arrow>)]) -> Vec<&'a Node> {
    let mut queue = VecDeque::from([vec![start]]);
    let mut seen = BTreeSet::new();
    while let Some(path) = queue.pop_front() {
        let last = path[path.len() - 1];
        for ((_, to), _) in edges.iter().filter(|((from, _), _)| from == last) {
            let longer = [path.as_slice(), &[to]].concat();
            if to == start {
                return longer;
            }
            if seen.insert(to) {
                queue.push_back(longer);
            }
        }
    }
    Vec::new()
}
