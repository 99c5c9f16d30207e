/** What the suite in the extension host leaves for the one that started it. */
export interface HostTestResult {
  readonly title: string;
  readonly state: 'passed' | 'failed';
  readonly ms: number;
  readonly error?: string;
}
export interface HostResults {
  readonly suite: string;
  readonly node: string;
  readonly tests: readonly HostTestResult[];
}
