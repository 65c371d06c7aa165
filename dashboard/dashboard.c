#include "dashboard/dashboard.h"

/* Embedded by the assembler: a page of 100 KiB as a C array would take the compiler seconds. */
__asm__(".section .rodata\n"
        ".global dashboard_html\n"
        ".type dashboard_html, @object\n"
        "dashboard_html:\n"
        ".incbin \"" DASHBOARD_PAGE "\"\n"
        "dashboard_html_end:\n"
        ".byte 0\n"
        ".size dashboard_html, dashboard_html_end - dashboard_html\n"
        ".balign 8\n"
        ".global dashboard_html_len\n"
        ".type dashboard_html_len, @object\n"
        "dashboard_html_len:\n"
        ".quad dashboard_html_end - dashboard_html\n"
        ".size dashboard_html_len, 8\n"
        ".text\n");
