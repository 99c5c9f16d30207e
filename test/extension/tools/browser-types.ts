/** The part of playwright-core that we use. It is installed on demand, so its own types are not there when ours are checked. */
export interface Locator {
  first(): Locator;
  last(): Locator;
  nth(index: number): Locator;
  locator(selector: string, options?: { readonly hasText?: string | RegExp }): Locator;
  waitFor(options?: {
    readonly state?: 'attached' | 'detached' | 'visible' | 'hidden';
    readonly timeout?: number;
  }): Promise<void>;
  fill(text: string): Promise<void>;
  click(options?: { readonly button?: 'left' | 'right'; readonly timeout?: number }): Promise<void>;
  dblclick(): Promise<void>;
  hover(): Promise<void>;
  count(): Promise<number>;
  isVisible(): Promise<boolean>;
  innerText(): Promise<string>;
  allInnerTexts(): Promise<string[]>;
  getAttribute(name: string): Promise<string | null>;
}

export interface Page {
  readonly keyboard: {
    press(keys: string): Promise<void>;
    type(text: string): Promise<void>;
    insertText(text: string): Promise<void>;
  };
  locator(selector: string, options?: { readonly hasText?: string | RegExp }): Locator;
  goto(url: string): Promise<unknown>;
  reload(): Promise<unknown>;
  title(): Promise<string>;
  screenshot(options: { readonly path: string }): Promise<unknown>;
  evaluate<T>(body: string): Promise<T>;
  exposeFunction(name: string, body: (...args: never[]) => unknown): Promise<void>;
  on(event: 'console', listener: (message: { text(): string }) => void): unknown;
  close(): Promise<void>;
}

export interface BrowserContext {
  newPage(): Promise<Page>;
  grantPermissions(permissions: readonly string[], options?: { readonly origin?: string }): Promise<void>;
  close(): Promise<void>;
}

export interface Browser {
  newContext(options: {
    readonly viewport: { readonly width: number; readonly height: number };
  }): Promise<BrowserContext>;
  close(): Promise<void>;
}

export interface BrowserType {
  launch(options: {
    readonly executablePath: string;
    readonly headless: boolean;
    readonly args: readonly string[];
  }): Promise<Browser>;
}
