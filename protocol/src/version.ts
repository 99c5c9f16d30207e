/** Wire versions, newest last. 1: first version. */
export const protocolVersion = 1;
/** Record format written, and the newest that this build reads (rule LOG3). */
export const recordVersion = 1;
export const readerVersion = 1;
/** Feature bits of Hello and Challenge. None is assigned yet. */
export const features = 0;
