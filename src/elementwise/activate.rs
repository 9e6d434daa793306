//! Activations as operators.

use super::cells::one_operation_each;
use super::{Activation, CELLS, launch_cells};
use crate::host::{HostArgs, Real, each};
use crate::{DType, Error, Result, Tensor, Var};

crate::params! {
    pub(super) struct ActivateParams {
        cells: u32,
        slope: f32,
    }
}

crate::kernel! {
    /// `y[i] = activation(x[i])`
    pub(super) static ACTIVATE = "elementwise/activate";
    params = ActivateParams;
    oracle = activate_oracle;
    variants = CELLS;
    cost = |args| one_operation_each(args, "y");
}

crate::kernel! {
    /// `gx[i] = g[i] activation'(x[i])`
    pub(super) static ACTIVATE_BACKWARD = "elementwise/activate_backward";
    params = ActivateParams;
    oracle = activate_backward_oracle;
    variants = CELLS;
    cost = |args| one_operation_each(args, "gx");
}

fn activate_oracle<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: ActivateParams = args.params();
    let f = Activation::from_code(args.constant("KIND"), p.slope);
    let x = args.reals("x");
    each(args.reals_mut("y"), |i| f.apply(x[i]));
}

fn activate_backward_oracle<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: ActivateParams = args.params();
    let f = Activation::from_code(args.constant("KIND"), p.slope);
    let (x, g) = (args.reals("saved"), args.reals("g"));
    each(args.reals_mut("gx"), |i| g[i] * f.derivative(x[i]));
}

/// The activation of every element.
///
/// # Errors
/// [`Error::DType`] for other elements than f32; [`Error::Argument`] for a slope that is not finite.
pub fn activate(activation: Activation, x: &Tensor) -> Result<Tensor> {
    x.expect("activate", DType::F32)?;
    if !activation.slope().is_finite() {
        return Err(Error::argument(
            "activate",
            format!("{activation:?}: the slope is not finite"),
        ));
    }
    let y = Tensor::empty(x.device(), *x.shape(), DType::F32)?;
    let (launch, cells) = launch_cells(x.device(), &ACTIVATE, x.count());
    let params = ActivateParams { cells, slope: activation.slope() };
    launch
        .constant("KIND", activation.code())
        .params(&params)
        .bind("x", x)
        .bind("y", &y)
        .record()?;
    Ok(y)
}

/// `g activation'(x)` of every element: the gradient of the input, from the input and the gradient
/// of the output.
///
/// # Errors
/// [`Error::DType`] for other elements than f32; [`Error::Shape`] for different shapes.
pub fn activate_backward(activation: Activation, x: &Tensor, g: &Tensor) -> Result<Tensor> {
    x.expect("activate_backward", DType::F32)?;
    g.expect("activate_backward", DType::F32)?;
    if x.shape() != g.shape() {
        let detail = format!("a gradient of {} for an input of {}", g.shape(), x.shape());
        return Err(Error::shape("activate_backward", detail));
    }
    let gx = Tensor::empty(x.device(), *x.shape(), DType::F32)?;
    let (launch, cells) = launch_cells(x.device(), &ACTIVATE_BACKWARD, x.count());
    let params = ActivateParams { cells, slope: activation.slope() };
    let launch = launch.constant("KIND", activation.code()).params(&params);
    launch.bind("saved", x).bind("g", g).bind("gx", &gx).record()?;
    Ok(gx)
}

impl Var {
    /// The activation of every element. Backward is one launch that recomputes it from the input.
    ///
    /// # Errors
    /// [`Error::DType`] for other elements than f32; [`Error::Argument`] for a slope that is not
    /// finite.
    pub fn activate(&self, activation: Activation) -> Result<Var> {
        if activation == Activation::Identity {
            return Ok(self.clone());
        }
        let y = activate(activation, self.value())?;
        let x = self.value().clone();
        self.tape().record_one("activate", &[self], y, move |bw| {
            if let Some(g) = bw.upstream(0) {
                let gx = activate_backward(activation, &x, g)?;
                bw.give(0, gx);
            }
            Ok(())
        })
    }

    /// `max(x, 0)`, derivative 0 at 0.
    ///
    /// # Errors
    /// Those of [`activate`](Self::activate).
    pub fn relu(&self) -> Result<Var> {
        self.activate(Activation::Relu)
    }

    /// `x` for `x > 0`, else `slope x`.
    ///
    /// # Errors
    /// Those of [`activate`](Self::activate).
    pub fn leaky_relu(&self, slope: f32) -> Result<Var> {
        self.activate(Activation::LeakyRelu(slope))
    }

    /// `x Phi(x)`, with the normal distribution function (Hendrycks and Gimpel 2016).
    ///
    /// # Errors
    /// Those of [`activate`](Self::activate).
    pub fn gelu(&self) -> Result<Var> {
        self.activate(Activation::Gelu)
    }

    /// `x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))` (Hendrycks and Gimpel 2016).
    ///
    /// # Errors
    /// Those of [`activate`](Self::activate).
    pub fn gelu_tanh(&self) -> Result<Var> {
        self.activate(Activation::GeluTanh)
    }

    /// `1 / (1 + e^-x)`
    ///
    /// # Errors
    /// Those of [`activate`](Self::activate).
    pub fn sigmoid(&self) -> Result<Var> {
        self.activate(Activation::Sigmoid)
    }

    /// `tanh x`
    ///
    /// # Errors
    /// Those of [`activate`](Self::activate).
    pub fn tanh(&self) -> Result<Var> {
        self.activate(Activation::Tanh)
    }

    /// `x sigmoid(x)`
    ///
    /// # Errors
    /// Those of [`activate`](Self::activate).
    pub fn silu(&self) -> Result<Var> {
        self.activate(Activation::Silu)
    }

    /// `ln(1 + e^x)`
    ///
    /// # Errors
    /// Those of [`activate`](Self::activate).
    pub fn softplus(&self) -> Result<Var> {
        self.activate(Activation::Softplus)
    }

    /// `max(x, 0)^2` (So et al. 2021, section 3).
    ///
    /// # Errors
    /// Those of [`activate`](Self::activate).
    pub fn squared_relu(&self) -> Result<Var> {
        self.activate(Activation::SquaredRelu)
    }
}
