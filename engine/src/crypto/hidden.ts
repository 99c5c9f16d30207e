/** Keys never print: an object so marked shows its name in logs, inspections and JSON, and nothing else. */
import { inspect } from 'node:util';

export function hidden<Value extends object>(name: string, value: Value): Value {
  const shown = `[${name}: hidden]`;
  Object.defineProperty(value, inspect.custom, { value: () => shown });
  Object.defineProperty(value, 'toJSON', { value: () => shown });
  return value;
}
