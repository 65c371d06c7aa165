#pragma once
/* Which build this is: a digest of everything that two of masu's processes must agree on. Checked at hello.
 */

extern const char build_id[41];
