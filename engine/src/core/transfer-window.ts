/**
 * How many bytes of a bulk transfer to have under way. What is under way stands in front of a small save on the same
 * connection, so the window follows the link: it grows while answers come fast and shrinks when they come late (W5).
 */
export interface TransferWindow {
  /** Bytes that may be unanswered at once. */
  readonly bytes: number;
  /** Size to aim at for one frame: several fit, so that sending and storing overlap. */
  readonly frameBytes: number;
  /** `tookMs`: from sending to the answer. */
  answered(tookMs: number): void;
}

export interface TransferWindowLimits {
  readonly bytesMax: number;
  readonly frameBytesMax: number;
}

const startBytes = 256 * 1024;
const leastBytes = 64 * 1024;
const framesPerWindow = 4;
/** A small save should not wait much longer than a second behind bulk data. */
const fastAnswerMs = 300;
const slowAnswerMs = 1_000;

export function createTransferWindow({ bytesMax, frameBytesMax }: TransferWindowLimits): TransferWindow {
  const ceiling = Math.max(leastBytes, bytesMax);
  let bytes = Math.min(startBytes, ceiling);
  return {
    get bytes() {
      return bytes;
    },
    get frameBytes() {
      return Math.min(frameBytesMax, bytes / framesPerWindow);
    },
    answered(tookMs) {
      if (tookMs < fastAnswerMs) bytes = Math.min(ceiling, bytes * 2);
      else if (tookMs > slowAnswerMs) bytes = Math.max(leastBytes, bytes / 2);
    },
  };
}
