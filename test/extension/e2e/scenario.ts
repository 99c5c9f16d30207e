/** Steps in order, each building on the last: the first that fails ends the run, and those after it count as failed too. */
export interface Step {
  readonly name: string;
  readonly run: () => Promise<void>;
}

export interface Outcome {
  readonly passed: number;
  readonly failed: number;
}

export async function runSteps(
  steps: readonly Step[],
  onFailure: (step: string, error: unknown) => Promise<void>,
): Promise<Outcome> {
  let passed = 0;
  for (const { name, run } of steps) {
    const startedMs = performance.now();
    try {
      await run();
    } catch (error) {
      console.log(`  ✗ ${name}`);
      console.error(error);
      for (const { name: later } of steps.slice(passed + 1)) console.log(`  ✗ not reached: ${later}`);
      await onFailure(name, error);
      return { passed, failed: steps.length - passed };
    }
    passed += 1;
    console.log(`  ✓ ${name} (${((performance.now() - startedMs) / 1_000).toFixed(1)} s)`);
  }
  return { passed, failed: 0 };
}

const conditionMsMax = 60_000;

/** Looks until `look` finds something. Errors: what was waited for, and what was seen last. */
export async function until<Value>(
  what: string,
  look: () => Promise<Value | undefined | false> | Value | undefined | false,
): Promise<Value> {
  const endMs = performance.now() + conditionMsMax;
  for (;;) {
    const value = await look();
    if (value !== undefined && value !== false) return value;
    if (performance.now() > endMs) throw new Error(`did not come within ${conditionMsMax / 1_000} s: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
