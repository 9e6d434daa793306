//! Modules: what has parameters, and how they are named.

use crate::Param;

/// Something with parameters, buffers and children. Names come from the path: the weight of the layer
/// in the field `first` is `first.weight`, that of the third of `blocks` is `blocks.2.weight`.
///
/// A struct of modules and parameters is one by [`module!`](crate::module):
///
/// ```
/// use spikegrad::nn::{Linear, Module};
/// use spikegrad::{Device, random::Generator};
///
/// struct Network {
///     first: Linear,
///     second: Linear,
/// }
/// spikegrad::module!(Network { first, second });
///
/// # fn main() -> spikegrad::Result<()> {
/// let random = &mut Generator::new(&Device::host(), 0)?;
/// let first = Linear::builder(2, 3).build(random)?;
/// let network = Network { first, second: Linear::builder(3, 1).bias(false).build(random)? };
/// let names: Vec<String> = network.params().iter().map(|p| p.name().into()).collect();
/// assert_eq!(names, ["first.weight", "first.bias", "second.weight"]);
/// # Ok(())
/// # }
/// ```
///
/// Two parameters of one name are refused where it matters: by optimizers and by checkpoints.
pub trait Module {
    /// Shows all that it is made of, in a fixed order.
    fn visit(&self, visitor: &mut Visitor);

    /// Its parameters, named by their paths.
    fn params(&self) -> Vec<Param> {
        Visitor::over(self).params
    }

    /// What is saved but not trained, such as running statistics, named by their paths.
    fn buffers(&self) -> Vec<Param> {
        Visitor::over(self).buffers
    }

    /// All that is saved: parameters, then buffers.
    fn saved(&self) -> Vec<Param> {
        let Visitor { mut params, buffers, .. } = Visitor::over(self);
        params.extend(buffers);
        params
    }
}

/// What a [`Module`] shows itself to.
#[derive(Debug, Default)]
pub struct Visitor {
    path: String,
    params: Vec<Param>,
    buffers: Vec<Param>,
}

impl Visitor {
    fn over(module: &(impl Module + ?Sized)) -> Self {
        let mut visitor = Self::default();
        module.visit(&mut visitor);
        visitor
    }

    /// A trained parameter called `name`.
    pub fn param(&mut self, name: &str, param: &Param) {
        self.child(name, param);
    }

    /// A tensor called `name` that is saved but not trained.
    pub fn buffer(&mut self, name: &str, buffer: &Param) {
        self.at(name, |visitor| {
            let named = visitor.named(buffer);
            visitor.buffers.push(named);
        });
    }

    /// A module called `name`. What has no name of its own (`""`) stands in the path of its parent.
    pub fn child(&mut self, name: &str, child: &(impl Module + ?Sized)) {
        self.at(name, |visitor| child.visit(visitor));
    }

    /// Modules called `name.0`, `name.1` and so on.
    pub fn children<'m, M: Module + ?Sized + 'm>(
        &mut self,
        name: &str,
        children: impl IntoIterator<Item = &'m M>,
    ) {
        self.at(name, |visitor| {
            for (number, child) in children.into_iter().enumerate() {
                visitor.child(&number.to_string(), child);
            }
        });
    }

    fn at(&mut self, name: &str, visit: impl FnOnce(&mut Self)) {
        let length = self.path.len();
        if !self.path.is_empty() && !name.is_empty() {
            self.path.push('.');
        }
        self.path.push_str(name);
        visit(self);
        self.path.truncate(length);
    }

    /// A parameter by its path, or by itself under its own name.
    fn named(&self, param: &Param) -> Param {
        if self.path.is_empty() { param.clone() } else { param.clone().renamed(&self.path) }
    }
}

impl Module for Param {
    fn visit(&self, visitor: &mut Visitor) {
        let named = visitor.named(self);
        visitor.params.push(named);
    }
}

impl<M: Module + ?Sized> Module for &M {
    fn visit(&self, visitor: &mut Visitor) {
        (**self).visit(visitor);
    }
}

impl<M: Module + ?Sized> Module for Box<M> {
    fn visit(&self, visitor: &mut Visitor) {
        (**self).visit(visitor);
    }
}

impl<M: Module> Module for Option<M> {
    fn visit(&self, visitor: &mut Visitor) {
        if let Some(module) = self {
            module.visit(visitor);
        }
    }
}

impl<M: Module> Module for [M] {
    fn visit(&self, visitor: &mut Visitor) {
        visitor.children("", self);
    }
}

impl<M: Module> Module for Vec<M> {
    fn visit(&self, visitor: &mut Visitor) {
        self[..].visit(visitor);
    }
}

impl<M: Module, const N: usize> Module for [M; N] {
    fn visit(&self, visitor: &mut Visitor) {
        self[..].visit(visitor);
    }
}

/// Makes a struct a [`Module`](crate::nn::Module) of its fields, in the order in which they stand here:
/// modules, parameters, and lists or options of them. A field may have another name than its own, or
/// none (`""`). Fields that are left out are no part of it.
///
/// ```
/// use spikegrad::Param;
/// use spikegrad::nn::{LayerNorm, Linear};
///
/// struct Block {
///     norm: LayerNorm,
///     maps: Vec<Linear>,
///     scale: Param,
///     steps: usize,
/// }
/// spikegrad::module!(Block { norm: "before", maps, scale });
/// # let _ = |block: Block| (block.norm, block.maps, block.scale, block.steps);
/// ```
#[macro_export]
macro_rules! module {
    ($module:ty { $($field:ident $(: $name:literal)?),* $(,)? }) => {
        impl $crate::nn::Module for $module {
            fn visit(&self, visitor: &mut $crate::nn::Visitor) {
                let _ = &visitor;
                $(visitor.child($crate::module!(@name $field $($name)?), &self.$field);)*
            }
        }
    };
    (@name $field:ident) => { stringify!($field) };
    (@name $field:ident $name:literal) => { $name };
}

#[cfg(test)]
mod tests {
    use super::{Module, Visitor};
    use crate::{Device, Param, Tensor};

    fn param() -> Param {
        Param::new("own", Tensor::from_slice(&Device::host(), &[1.0f32], [1]).unwrap())
    }

    fn names(params: &[Param]) -> Vec<&str> {
        params.iter().map(Param::name).collect()
    }

    struct Leaf(Param, Param);

    impl Module for Leaf {
        fn visit(&self, visitor: &mut Visitor) {
            visitor.param("weight", &self.0);
            visitor.buffer("mean", &self.1);
        }
    }

    struct Tree {
        leaf: Leaf,
        list: Vec<Leaf>,
        none: Option<Leaf>,
        boxed: Box<dyn Module>,
        pair: [Param; 2],
        flat: Leaf,
    }
    crate::module!(Tree { leaf, list, none, boxed: "other.name", pair, flat: "" });

    #[test]
    fn names_are_paths() {
        let leaf = || Leaf(param(), param());
        let tree = Tree {
            leaf: leaf(),
            list: vec![leaf(), leaf()],
            none: None,
            boxed: Box::new(leaf()),
            pair: [param(), param()],
            flat: leaf(),
        };
        let wanted = [
            "leaf.weight",
            "list.0.weight",
            "list.1.weight",
            "other.name.weight",
            "pair.0",
            "pair.1",
            "weight",
        ];
        assert_eq!(names(&tree.params()), wanted);
        let buffers = ["leaf.mean", "list.0.mean", "list.1.mean", "other.name.mean", "mean"];
        assert_eq!(names(&tree.buffers()), buffers);
        assert_eq!(names(&tree.saved()), [&wanted[..], &buffers].concat());
        assert_eq!(names(&param().params()), ["own"]);
        assert_eq!(tree.leaf.params()[0].id(), tree.leaf.0.id());
    }
}
