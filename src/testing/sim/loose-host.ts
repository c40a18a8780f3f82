// Rejections that nobody has caught, of the process the simulator runs in. An edge.

/** Until the returned function is called. */
export function hearLoose(heard: (error: unknown) => void): () => void {
  process.on('unhandledRejection', heard);
  return () => process.off('unhandledRejection', heard);
}
