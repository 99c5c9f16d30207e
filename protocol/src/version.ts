/** Wire versions, newest last. 1: never released. 2: entries know whether they are private. */
export const protocolVersion = 2;
/** Record format written, and the only one that this build reads (rule LOG3): the root of a manifest depends on it. */
export const recordVersion = 2;
export const readerVersion = 2;
/** Feature bits of Hello and Challenge. None is assigned yet. */
export const features = 0;
