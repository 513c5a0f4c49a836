import { useEffect, useRef } from 'preact/hooks';
import { TEXT } from '../text.ts';

let isFirst = true;

/**
 * Sets the document title for a view of the page. The heading gets the focus when the view is entered, as on a new
 * page, so that keyboard and screen reader start there; not on the very first view, for which the browser does that.
 *
 * @returns a ref for the heading, which needs `tabIndex={-1}`
 */
export function useTitle(title: string) {
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    document.title = TEXT.pageTitle(title);
  }, [title]);
  useEffect(() => {
    if (!isFirst) heading.current?.focus({ preventScroll: true });
    if (!isFirst) scrollTo(0, 0);
    isFirst = false;
  }, []);
  return heading;
}
