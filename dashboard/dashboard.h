#pragma once
/* The web page, embedded by the build; without MASU_DASHBOARD a line that says so. */

extern const unsigned char dashboard_html[];
extern const unsigned long dashboard_html_len;
