/* In place of the web page where the build left it out. */

#include "dashboard/dashboard.h"

#define PAGE                                                                                                 \
    "<!doctype html><title>masu</title><p>This masu was built without its web page. The API is at "          \
    "<a href=/api/v1>/api/v1</a>, the numbers at <a href=/metrics>/metrics</a>.\n"

const unsigned char dashboard_html[] = PAGE;
const unsigned long dashboard_html_len = sizeof PAGE - 1;
