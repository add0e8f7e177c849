export async function openStream() { throw new Error("not yet"); }
