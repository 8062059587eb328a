"""What a solution is worth: derivatives, Hessian products, sensitivities, free directions, memory."""
